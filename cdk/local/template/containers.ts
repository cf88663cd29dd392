/**
 * Containers of ECS and AWS Batch, which run as local processes.
 * @module
 */
import { ACCOUNT, REGION } from '../account.ts'
import type { ExitRule } from '../aws/batch.ts'
import { assuming, credentialsOf, type Makers, roleId, TAGS } from './plan.ts'

interface Container {
  readonly Command: readonly string[]
  readonly JobRoleArn?: string
  readonly Environment?: readonly { readonly Name: string; readonly Value: string }[]
}

const variablesOf = ({ Environment = [] }: Container): Readonly<Record<string, string>> =>
  Object.fromEntries(Environment.map(({ Name, Value }) => [Name, Value]))

const CONTAINER_PROPERTIES = [
  'Command',
  'Environment',
  // The content of the image runs here from source, as this user, on the CPU, and logs to this process.
  'Image',
  'JobRoleArn',
  'LogConfiguration',
  'Privileged',
  'ReadonlyRootFilesystem',
  'ResourceRequirements',
]

export const CONTAINERS: Makers = {
  'AWS::ECS::TaskDefinition': {
    uses: ['ContainerDefinitions', 'TaskRoleArn'],
    ignores: {
      Cpu: 'the adapter runs as a process of this machine',
      ExecutionRoleArn: 'nothing is fetched here',
      Family: 'nobody asks for it',
      Memory: 'the adapter runs as a process of this machine',
      NetworkMode: 'the adapter runs as a process of this machine',
      RequiresCompatibilities: 'the adapter runs as a process of this machine',
      RuntimePlatform: 'the adapter runs as a process of this machine',
      Volumes: 'the journal is a file of this machine',
      ...TAGS,
    },
    async make(name, { ContainerDefinitions, TaskRoleArn }, { adapters, deliveries }) {
      const [container, ...others] = ContainerDefinitions as readonly (Container & { readonly Name: string })[]
      if (container?.Name !== 'adapter' || others.length > 0) {
        throw new Error(`the local stack knows tasks with the one container "adapter" only (${name})`)
      }
      adapters.push({ environment: variablesOf(container), role: roleId(TaskRoleArn) })
      const arn = `arn:aws:ecs:${REGION}:${ACCOUNT}:task-definition/${name}:1`
      if (TaskRoleArn !== undefined) deliveries.push(assuming('ecs-tasks.amazonaws.com', TaskRoleArn, arn))
      return { ref: arn, attributes: { TaskDefinitionArn: arn } }
    },
  },

  'AWS::Batch::JobQueue': {
    uses: [],
    ignores: {
      ComputeEnvironmentOrder: 'batch jobs run on this machine',
      JobStateTimeLimitActions: 'this machine is always there',
      Priority: 'there is one queue',
      State: 'no queue of ours is disabled',
      ...TAGS,
    },
    async make(name, _properties, { jobQueues }) {
      const ref = `arn:aws:batch:${REGION}:${ACCOUNT}:job-queue/${name}`
      jobQueues.push(ref)
      return { ref, attributes: { JobQueueArn: ref } }
    },
  },

  'AWS::Batch::JobDefinition': {
    uses: ['ContainerProperties', 'RetryStrategy', 'Timeout', 'Type'],
    ignores: {
      Parameters: 'a job brings its own',
      PlatformCapabilities: 'batch jobs run on this machine',
      ...TAGS,
    },
    async make(name, { Type, ContainerProperties, RetryStrategy, Timeout }, { deliveries, jobDefinitions }) {
      if (Type !== 'container') throw new Error(`the local stack runs containers only, not ${Type} (${name})`)
      const container = ContainerProperties as Container // CloudFormation's format
      const unknown = Object.keys(container).find((each) => !CONTAINER_PROPERTIES.includes(each))
      if (unknown !== undefined) {
        throw new Error(`the local stack does not support ContainerProperties.${unknown} (${name}); see cdk/README.md`)
      }
      const { Attempts = 1, EvaluateOnExit = [] } = (RetryStrategy ?? {}) as {
        Attempts?: number
        EvaluateOnExit?: readonly ExitRule[]
      }
      const { AttemptDurationSeconds = 86_400 } = (Timeout ?? {}) as { AttemptDurationSeconds?: number }
      const arn = `arn:aws:batch:${REGION}:${ACCOUNT}:job-definition/${name}:1`
      if (container.JobRoleArn !== undefined) {
        deliveries.push(assuming('ecs-tasks.amazonaws.com', container.JobRoleArn, arn))
      }
      jobDefinitions.push({
        arn,
        command: container.Command,
        environment: {
          ...variablesOf(container),
          ...credentialsOf(container.JobRoleArn),
        },
        attempts: Attempts,
        evaluateOnExit: EvaluateOnExit,
        timeoutMs: AttemptDurationSeconds * 1000,
      })
      return { ref: arn, attributes: {} }
    },
  },
}

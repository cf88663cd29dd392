/**
 * `cardiacnets`: the command line. Each command has its own file; this file registers them and turns errors into exit codes.
 * @module
 */
import { Command, CommanderError } from 'commander'
import { RUNS_FROM_SOURCE } from '../../shared/installation.ts'
import { isOutputFault, watchStandardOutput } from '../../shared/standard-output.ts'
import { codeVersion } from '../../shared/version.ts'
import { CLONE_ONLY } from './clone-only.ts'
import { EXIT, reportError } from './output.ts'
import { commandArguments } from './short-command-line.ts'

/** Each command loads only its own packages, because loading all of them takes two seconds. */
const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  screen: async () => (await import('./screen.ts')).screenCommand(),
  evaluate: async () => (await import('./evaluate/index.ts')).evaluateCommand(),
  synthesize: async () => (await import('./synthesize.ts')).synthesizeCommand(),
  stream: async () => (await import('./stream.ts')).streamCommand(),
  redrive: async () => (await import('./redrive.ts')).redriveCommand(),
  fhir: async () => (await import('./fhir.ts')).fhirCommand(),
  audit: async () => (await import('./audit.ts')).auditCommand(),
  erase: async () => (await import('./erase/index.ts')).eraseCommand(),
  gateway: async () => (await import('./gateway.ts')).gatewayCommand(),
  dicom: async () => (await import('./dicom.ts')).dicomCommand(),
  models: async () => (await import('./models.ts')).modelsCommand(),
  ...(RUNS_FROM_SOURCE ? { bench: async () => (await import('./bench.ts')).benchCommand() } : CLONE_ONLY),
}

/** The command that the arguments name; all commands for the help. */
function commandsFor([name = '']: readonly string[]): Promise<Command[]> {
  const named = Object.entries(COMMANDS).filter(([each]) => each === name)
  return Promise.all((named.length > 0 ? named : Object.entries(COMMANDS)).map(([, load]) => load()))
}

const withSubcommands = (command: Command): Command[] => [command, ...command.commands.flatMap(withSubcommands)]

const program = new Command('cardiacnets')
  .description(
    'Screens 12-lead ECGs for five heart diseases and 82 cardiac function indices.\nInvestigational. Not a medical device.',
  )
  .version(codeVersion(), '--version', 'print the version and the commit')
  .showHelpAfterError('(--help says more)')
  .exitOverride()
  // An option after a subcommand belongs to it, even when the command above has one of the same name.
  .enablePositionalOptions()
  .addHelpText(
    'after',
    '\nExit codes: 0 success, 1 internal error, 2 invalid input, 3 refused by the quality gate, 4 a service cannot be reached.',
  )

watchStandardOutput(reportError)
try {
  const args = await commandArguments(import.meta.filename)
  if (args !== undefined) {
    for (const command of await commandsFor(args)) {
      program.addCommand(command)
      for (const each of withSubcommands(command)) each.exitOverride().showHelpAfterError('(--help says more)')
    }
    await program.parseAsync(args, { from: 'user' })
  }
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? EXIT.ok : EXIT.badInput
  else if (!isOutputFault(error)) process.exitCode = reportError(error)
}

/** The operations view on the local stack. */
import { SQSClient } from '@aws-sdk/client-sqs'
import { expect, it } from 'vitest'
import { clientOptions } from '../../../cdk/local/template/plan.ts'
import { sendMessage } from '../../../shared/aws/queues.ts'
import type { OnStack } from './on-stack.ts'

export function operations(on: () => OnStack): void {
  it('shows devices, lag, alarms and DLQ reasons without content, and redrives messages', async () => {
    const { page, go, stack } = on()
    const { emulator, deadLetterUrl } = stack
    // Against a stack that runs already nobody gives the addresses of its queues.
    if (emulator === undefined || deadLetterUrl === undefined) return
    const sqs = new SQSClient({ ...clientOptions(emulator), useQueueUrlAsEndpoint: false })
    const body = { schema: 1, tenant: 'local', kind: 'poll' }
    await sendMessage(sqs, deadLetterUrl, JSON.stringify(body), { reason: 'ehr-unavailable' })
    sqs.destroy()

    await go('#/operations')

    await page.locator('[data-figure=online] dd').waitFor()
    const dead = page.locator('[data-queue="fhir-inbound"] .dead')
    await dead.waitFor()
    expect(await dead.textContent()).toContain('1 ehr-unavailable')
    const alarm = page.locator('.alarms li.alarm', { hasText: 'fhir-inbound-dlq' })
    expect(await alarm.textContent()).toContain('dlq-depth')
    await dead.getByRole('button', { name: 'Put back' }).click()
    await page.locator('dialog[open] .primary').click()
    await page.getByText('1 put back on fhir-inbound').waitFor()
    await dead.waitFor({ state: 'detached' })
  })

  it('links an alarm to its section of the runbook', async () => {
    const { page, go } = on()
    await go('#/operations')

    await page.locator('[data-alarm="refusal-rate"] a').click()

    await page.locator('.runbook p').first().waitFor()
    expect(await page.locator('h1').textContent()).toBe('refusal-rate')
    expect(await page.locator('.runbook').textContent()).not.toMatch(/\*\*|\]\(#/)
  })
}

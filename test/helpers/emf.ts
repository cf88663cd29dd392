/** CloudWatch's embedded metric format, as a service writes it. */
import { vi } from 'vitest'

/** What is written to stdout and stderr while `act` runs, line by line. */
export async function linesOf(act: () => unknown): Promise<readonly string[]> {
  const chunks: string[] = []
  const spies = [process.stdout, process.stderr].map((stream) =>
    vi.spyOn(stream, 'write').mockImplementation((chunk) => {
      chunks.push(String(chunk))
      return true
    }),
  )
  try {
    await act()
  } finally {
    for (const spy of spies) spy.mockRestore()
  }
  return chunks.join('').split('\n')
}

/** The documents of metrics among it. */
export async function metricsOf(act: () => unknown): Promise<readonly object[]> {
  return (await linesOf(act)).filter((line) => line.startsWith('{"_aws"')).map((line): object => JSON.parse(line))
}

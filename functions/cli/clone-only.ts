/**
 * Commands that exist only in a clone of the repository, because they need CDK, the emulators or the training code.
 * @module
 */
import { Command } from 'commander'

/** In the installed package, these commands say where to find them. */
export const CLONE_ONLY: Readonly<Record<string, () => Promise<Command>>> = {
  start: async () => inClone('start', 'npm start'),
  bench: async () => inClone('bench', 'npm run -s cli -- bench'),
}

function inClone(name: string, script: string): Command {
  const command = new Command(name)
    .description('available only in a clone of the repository')
    .helpOption(false)
    .allowUnknownOption()
    .argument('[options...]')
  return command.action(() => {
    command.error(
      `error: the installed package has no \`${name}\`. Clone the repository, run \`npm ci\`, then \`${script}\`.`,
    )
  })
}

#!/usr/bin/env node
/**
 * `cardiacnets`: the command line. One file a command; this one only names them and turns errors into exit codes.
 * @module
 */
import { Command, CommanderError } from 'commander'
import { codeVersion } from '../../shared/version.ts'
import { auditCommand } from './audit.ts'
import { benchCommand } from './bench.ts'
import { dicomCommand } from './dicom.ts'
import { eraseCommand } from './erase/index.ts'
import { evaluateCommand } from './evaluate/index.ts'
import { fhirCommand } from './fhir.ts'
import { gatewayCommand } from './gateway.ts'
import { modelsCommand } from './models.ts'
import { EXIT, reportError } from './output.ts'
import { redriveCommand } from './redrive.ts'
import { screenCommand } from './screen.ts'
import { commandArguments } from './short-command-line.ts'
import { streamCommand } from './stream.ts'
import { synthesizeCommand } from './synthesize.ts'

const program = new Command('cardiacnets')
  .description(
    'Screens 12-lead ECGs for five heart diseases and 82 cardiac function indices.\nInvestigational. Not a medical device.',
  )
  .version(codeVersion(), '--version', 'print the version and the commit')
  .showHelpAfterError('(--help says more)')
  .exitOverride()
  .addCommand(screenCommand())
  .addCommand(evaluateCommand())
  .addCommand(synthesizeCommand())
  .addCommand(streamCommand())
  .addCommand(redriveCommand())
  .addCommand(fhirCommand())
  .addCommand(auditCommand())
  .addCommand(eraseCommand())
  .addCommand(gatewayCommand())
  .addCommand(dicomCommand())
  .addCommand(modelsCommand())
  .addCommand(benchCommand())
  .addHelpText(
    'after',
    '\nExit codes: 0 done, 2 bad input, 3 refused (the ECG is not fit for it), 4 a service cannot be reached, 1 internal error.',
  )

for (const command of program.commands) {
  for (const each of [command, ...command.commands]) each.exitOverride().showHelpAfterError('(--help says more)')
}

try {
  const args = await commandArguments(import.meta.filename)
  if (args !== undefined) await program.parseAsync(args, { from: 'user' })
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? EXIT.ok : EXIT.badInput
  else process.exitCode = reportError(error)
}

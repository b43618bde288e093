import type { Command } from 'commander';
import type { ExitCode } from '../errors.ts';
import type { Io } from './io.ts';
export function boardCommand(_program: Command, _io: Io, _exit: (code: ExitCode) => void): void {}

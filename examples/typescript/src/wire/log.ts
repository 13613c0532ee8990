// The plugin's log: one JSON object a line on standard error, which the host
// writes into its own log. A secret must not be in it.
import { Console } from 'node:console';

const levels = ['debug', 'info', 'warn', 'error'] as const;

export type Level = (typeof levels)[number];

let least: Level = 'info';

// setLevel takes the host's word for what is worth a line.
export function setLevel(name: string): void {
  least = levels.find((level) => level === name) ?? 'info';
}

export function log(level: Level, msg: string, fields: Record<string, unknown> = {}): void {
  if (levels.indexOf(level) >= levels.indexOf(least)) {
    process.stderr.write(`${JSON.stringify({ ...fields, level, msg })}\n`);
  }
}

// keepOffStandardOutput sends what a library prints with console to the log:
// standard output belongs to the handshake.
export function keepOffStandardOutput(): void {
  globalThis.console = new Console(process.stderr, process.stderr);
}

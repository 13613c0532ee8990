// Living and dying with the host.
import { Socket } from 'node:net';

// followHost ends this process when its host is gone, however it went, and not
// before.
export function followHost(): void {
  outliveSignals();

  const descriptor = Number(process.env['BATON_PLUGIN_LIFELINE_FD'] ?? '');
  if (!descriptor) return;
  // A child must not take another descriptor of that number for its lifeline.
  // Node closes the descriptor itself in children.
  delete process.env['BATON_PLUGIN_LIFELINE_FD'];

  const lifeline = new Socket({ fd: descriptor, readable: true, writable: false });
  lifeline.on('end', endGroup);
  lifeline.on('error', endGroup);
  lifeline.resume();
}

// outliveSignals leaves the signals that ask a process to end to the host: a
// terminal and systemd send them to everybody, and it is for the host to say
// when the work in hand is over. They count once the host is gone.
function outliveSignals(): void {
  const host = process.env['BATON_PLUGIN_HOST_PID'];
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      if (String(process.ppid) !== host) endGroup();
    });
  }
}

// endGroup ends this process and its children at once. The host has made it the
// leader of a process group.
function endGroup(): void {
  try {
    process.kill(-process.pid, 'SIGKILL');
  } catch {
    process.exit(1); // Not the leader: started by hand.
  }
}

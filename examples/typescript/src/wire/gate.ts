// The gate stands in front of the connector, which exists only once the plugin
// is configured. It counts the calls inside, so that a stop can wait for them.
import { status } from '@grpc/grpc-js';

import type { Connector } from './connector.js';
import { CallError } from './errors.js';

export class Gate {
  private connector: Connector | undefined;
  private stopped = false;
  private inside = 0;
  private whenEmpty: (() => void)[] = [];

  // open lets calls through to the connector that a configuration made.
  open(connect: () => Connector): void {
    if (this.stopped) throw new CallError(status.UNAVAILABLE, 'the plugin is stopping');
    if (this.connector) {
      throw new CallError(
        status.FAILED_PRECONDITION,
        'the plugin is configured already: a process takes one configuration',
      );
    }
    this.connector = connect();
  }

  // pass makes one call of the connector.
  async pass<T>(call: (connector: Connector) => Promise<T>): Promise<T> {
    if (this.stopped) throw new CallError(status.UNAVAILABLE, 'the plugin is stopping');
    if (!this.connector) {
      throw new CallError(
        status.FAILED_PRECONDITION,
        'the plugin is not configured: call PluginService.Configure first',
      );
    }
    this.inside++;
    try {
      return await call(this.connector);
    } finally {
      this.inside--;
      if (this.inside === 0) this.whenEmpty.splice(0).forEach((tell) => tell());
    }
  }

  // stop refuses further calls, waits for those inside, but not beyond the
  // deadline, and closes the connector.
  async stop(deadline: number): Promise<void> {
    this.stopped = true;
    if (this.inside > 0) {
      await new Promise<void>((resolve) => {
        // A timer takes no more than 31 bits, and no deadline is infinitely far.
        const wait = Math.max(0, Math.min(deadline - Date.now(), 2 ** 31 - 1));
        const timer = setTimeout(resolve, wait);
        this.whenEmpty.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
    const connector = this.connector;
    this.connector = undefined;
    await connector?.close?.();
  }
}

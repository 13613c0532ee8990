// Errors of calls, as gRPC statuses.
import { Metadata, status, type ServiceError } from '@grpc/grpc-js';

import { rpcStatus } from './protocol.js';
import { log } from './log.js';

// CallError fails a call with a code that says to the host what to do next.
export class CallError extends Error {
  constructor(
    readonly code: status,
    message: string,
    // When the app takes requests again, if its rate limit is why this one failed.
    readonly limitedUntil?: Date,
  ) {
    super(message);
  }
}

// toServiceError is any error as gRPC sends it.
export function toServiceError(error: unknown): Partial<ServiceError> {
  if (!(error instanceof CallError)) {
    const message = error instanceof Error ? error.message : String(error);
    log('error', 'a call failed unexpectedly', {
      error: error instanceof Error ? error.stack : message,
    });
    return { code: status.INTERNAL, details: message };
  }
  const metadata = new Metadata();
  if (error.limitedUntil) {
    metadata.set('grpc-status-details-bin', rateLimitDetails(error, error.limitedUntil));
  }
  return { code: error.code, details: error.message, metadata };
}

function rateLimitDetails(error: CallError, until: Date): Buffer {
  const description = {
    '@type': 'type.googleapis.com/c1.connector.v2.RateLimitDescription',
    status: 'STATUS_OVERLIMIT',
    reset_at: {
      seconds: Math.floor(until.getTime() / 1000),
      nanos: (until.getTime() % 1000) * 1e6,
    },
  };
  return rpcStatus.serialize({
    code: error.code,
    message: error.message,
    details: [description],
  });
}

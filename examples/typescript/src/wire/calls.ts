// From gRPC's way of serving a call to a function that returns or throws.
import type { handleUnaryCall } from '@grpc/grpc-js';

import { toServiceError } from './errors.js';

export interface Context {
  // Aborted when the host no longer waits for the answer.
  signal: AbortSignal;
  // Until when it waits, in milliseconds since 1970.
  deadline: number;
}

export function unary<Request, Response>(
  answer: (request: Request, context: Context) => Promise<Response>,
): handleUnaryCall<Request, Response> {
  return (call, callback) => {
    const aborting = new AbortController();
    call.on('cancelled', () => aborting.abort());
    const context = { signal: aborting.signal, deadline: Number(call.getDeadline()) };
    answer(call.request, context).then(
      (response) => callback(null, response),
      (error: unknown) => callback(toServiceError(error)),
    );
  };
}

// Reads the JSON API of the directory.
import { status } from '@grpc/grpc-js';

import { CallError } from '../wire/errors.js';
import { log } from '../wire/log.js';

export interface User {
  id: string;
  login: string;
  name: string;
  email: string;
  active: boolean;
  last_login?: string;
}

export interface Group {
  id: string;
  name: string;
}

export interface Member {
  user_id: string;
}

// Items is one page of a list of the API.
export interface Items<Item> {
  items: Item[];
  next?: string;
}

const requestTimeout = 60_000;

export class Client {
  constructor(
    private readonly baseUrl: string,
    private readonly token: string,
  ) {}

  users(cursor: string, limit: number, signal: AbortSignal): Promise<Items<User>> {
    return this.list('users', cursor, limit, signal);
  }

  groups(cursor: string, limit: number, signal: AbortSignal): Promise<Items<Group>> {
    return this.list('groups', cursor, limit, signal);
  }

  members(
    groupId: string,
    cursor: string,
    limit: number,
    signal: AbortSignal,
  ): Promise<Items<Member>> {
    return this.list(`groups/${encodeURIComponent(groupId)}/members`, cursor, limit, signal);
  }

  private async list<Item>(
    path: string,
    cursor: string,
    limit: number,
    signal: AbortSignal,
  ): Promise<Items<Item>> {
    const query = new URLSearchParams({ limit: String(limit), ...(cursor && { cursor }) });
    const answer = await this.get(path, query, signal);
    const page = (await answer.json().catch(() => undefined)) as Partial<Items<Item>> | undefined;
    // Half an answer must not pass for a short list.
    if (!Array.isArray(page?.items)) {
      throw new CallError(status.INTERNAL, `the directory's list of ${path} is no such list`);
    }
    return { items: page.items, next: page.next ?? '' };
  }

  private async get(path: string, query: URLSearchParams, signal: AbortSignal): Promise<Response> {
    const url = `${this.baseUrl.replace(/\/+$/, '')}/${path}?${query}`;
    log('debug', 'asking the directory', { url });
    let answer: Response;
    try {
      answer = await fetch(url, {
        headers: { authorization: `Bearer ${this.token}` },
        redirect: 'error', // The token is for the base URL alone.
        signal: AbortSignal.any([signal, AbortSignal.timeout(requestTimeout)]),
      });
    } catch (error) {
      if (signal.aborted)
        throw new CallError(status.CANCELLED, 'the host wants no answer any more');
      throw new CallError(status.UNAVAILABLE, `the directory cannot be reached: ${reason(error)}`);
    }
    if (!answer.ok) {
      await answer.body?.cancel();
      throw refused(answer, path);
    }
    return answer;
  }
}

// refused says by its code what the host should do: UNAVAILABLE is tried again,
// after the rate limit if there is one, everything else fails the sync. NOT_FOUND
// is never among them: it is no answer to "list".
function refused(answer: Response, path: string): CallError {
  const said = `the directory answered ${answer.status} for ${path}`;
  switch (answer.status) {
    case 401:
      return new CallError(status.UNAUTHENTICATED, `${said}: it does not accept the token`);
    case 403:
      return new CallError(status.PERMISSION_DENIED, `${said}: the token may not read that`);
    case 429:
      return new CallError(status.UNAVAILABLE, `${said}: too many requests`, retryAfter(answer));
  }
  return new CallError(
    answer.status >= 500 ? status.UNAVAILABLE : status.FAILED_PRECONDITION,
    said,
  );
}

function retryAfter(answer: Response): Date | undefined {
  const seconds = Number(answer.headers.get('retry-after') ?? NaN);
  return Number.isFinite(seconds) ? new Date(Date.now() + seconds * 1000) : undefined;
}

// reason is what is behind the error of fetch, which itself says "fetch failed".
function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? error.cause.message : error.message;
}

import type { Json } from './types';

export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly reason = '',
  ) {
    super(message);
  }
}

const tokenKey = 'kubernaut.token';
const base = new URL('api/v1/', document.baseURI);

// Only this tab and only until it is closed.
export const token = {
  get: () => sessionStorage.getItem(tokenKey) ?? '',
  set: (value: string) => (value ? sessionStorage.setItem(tokenKey, value) : sessionStorage.removeItem(tokenKey)),
};

function url(path: string, query: Record<string, string> = {}): URL {
  const target = new URL(path, base);
  for (const [name, value] of Object.entries(query)) if (value !== '') target.searchParams.set(name, value);
  return target;
}

function headers(): Record<string, string> {
  const value = token.get();
  return value ? { Authorization: `Bearer ${value}` } : {};
}

async function errorOf(response: Response): Promise<ApiError> {
  let message = `the hub answered ${response.status}`;
  let reason = '';
  try {
    const body = (await response.json()) as { error?: { message?: string; reason?: string } };
    if (body.error?.message) message = body.error.message;
    reason = body.error?.reason ?? '';
  } catch {
    // not ours: a proxy's page
  }
  return new ApiError(response.status, message, reason);
}

async function call<T>(method: string, target: URL, body?: Json): Promise<T> {
  let response: Response;
  try {
    response = await fetch(target, {
      method,
      headers: body === undefined ? headers() : { ...headers(), 'Content-Type': 'application/json' },
      body: body === undefined ? null : JSON.stringify(body),
      signal: AbortSignal.timeout(15_000),
      cache: 'no-store',
    });
  } catch {
    throw new ApiError(0, 'the hub does not answer');
  }
  if (!response.ok) throw await errorOf(response);
  return (await response.json()) as T;
}

export const get = <T>(path: string, query?: Record<string, string>): Promise<T> => call<T>('GET', url(path, query));
export const post = <T>(path: string, body: Json = {}): Promise<T> => call<T>('POST', url(path), body);
export const del = <T>(path: string, query?: Record<string, string>): Promise<T> => call<T>('DELETE', url(path, query));

/** Opens the event stream; `onPiece` gets text until the promise ends. */
export async function stream(signal: AbortSignal, onOpen: () => void, onPiece: (text: string) => void): Promise<void> {
  const response = await fetch(url('stream'), { headers: { ...headers(), Accept: 'text/event-stream' }, signal, cache: 'no-store' });
  if (!response.ok || !response.body) throw await errorOf(response);
  onOpen();
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    onPiece(decoder.decode(value, { stream: true }));
  }
}

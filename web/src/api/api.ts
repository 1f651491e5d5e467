/** Every call to the server goes through here; a one-file page answers from what was recorded into it. */
import { tableFromIPC, type Table } from 'apache-arrow';
import type { FaultAnswer } from '../parts/types';
import { follow } from '../state/busy.svelte';

interface Recorded {
  /** When a one-file page was written. */
  made_at?: string;
  answers: Record<string, unknown>;
  files?: Record<string, string>;
}

declare global {
  interface Window {
    __abatis?: Recorded;
    __abatis_ready?: boolean;
    __abatis_marks?: Record<string, number>;
  }
}

/** A call that failed: the status (0 when the server was not reached), a sentence, and all faults found. */
export class ApiError extends Error {
  readonly status: number;
  readonly faults: FaultAnswer[];

  constructor(status: number, message: string, faults: FaultAnswer[] = []) {
    super(message);
    this.name = 'ApiError';
    this.status = status;
    this.faults = faults;
  }
}

const access = { csrf: '', onLoginNeeded: () => {} };

/** Give the token that changing calls carry, and what to do when the server asks for a login. */
export function setAccess(csrf: string, onLoginNeeded?: () => void): void {
  access.csrf = csrf;
  if (onLoginNeeded) access.onLoginNeeded = onLoginNeeded;
}

/** True in a one-file page: nothing can be computed or saved. */
export const recorded = typeof window !== 'undefined' && window.__abatis !== undefined;

/** The day that views speak of unless told otherwise; in a one-file page the day it was written. */
export const today = (window.__abatis?.made_at ?? new Date().toISOString()).slice(0, 10);

function findRecorded(path: string): unknown {
  const answers = window.__abatis?.answers ?? {};
  if (path in answers) return answers[path];
  const [route, query] = path.split('?');
  if (query) {
    const sorted = `${route}?${query.split('&').sort().join('&')}`;
    for (const [key, answer] of Object.entries(answers)) {
      const [other, words] = key.split('?');
      if (words && `${other}?${words.split('&').sort().join('&')}` === sorted) return answer;
    }
  }
  throw new ApiError(0, 'This page is a file: it holds no answer for this. Open the study with abatis serve.');
}

async function readFault(response: Response): Promise<ApiError> {
  let message = `${response.status} ${response.statusText}`;
  let faults: FaultAnswer[] = [];
  try {
    const body: unknown = await response.json();
    const told = (body as { faults?: { what?: string; where?: string; remedy?: string }[] } | null)?.faults;
    if (Array.isArray(told) && told.length > 0) {
      faults = told.map((one) => ({ problem: one.what ?? '', file: one.where, remedy: one.remedy }));
      message = faults.map((one) => one.problem).join('; ');
    }
  } catch {
    // an answer that is no JSON has no more to say than its status
  }
  return new ApiError(response.status, message, faults);
}

async function call(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Response> {
  if (method !== 'GET') headers['X-CSRF-Token'] = access.csrf;
  const init: RequestInit = { method, headers, credentials: 'same-origin' };
  if (typeof body === 'string' || body instanceof Blob) init.body = body;
  else if (body !== undefined) {
    init.body = JSON.stringify(body);
    headers['Content-Type'] = 'application/json';
  }
  let response: Response;
  try {
    const asked = fetch(path.replace(/^\//, './'), init);
    // A job that runs does not keep the page from being ready.
    response = await (path.startsWith('/api/jobs') ? asked : follow(asked));
  } catch {
    throw new ApiError(0, 'The server does not answer. Is abatis serve still running?');
  }
  if (response.ok) return response;
  const fault = await readFault(response);
  if (response.status === 401) access.onLoginNeeded();
  throw fault;
}

async function callJson<T>(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<T> {
  if (recorded) {
    if (method === 'GET') return findRecorded(path) as T;
    throw new ApiError(0, 'This page is a file: it can show, not compute or save. Open the study with abatis serve.');
  }
  const response = await call(method, path, body, headers);
  const text = await response.text();
  return (text ? JSON.parse(text) : null) as T;
}

/** Turn base64 text into bytes. */
export function decodeBytes(text: string): Uint8Array {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

async function readArrow(path: string): Promise<Table> {
  if (recorded) {
    const held = findRecorded(path) as { gzip: string };
    const packed = new Blob([decodeBytes(held.gzip) as BlobPart]).stream().pipeThrough(new DecompressionStream('gzip'));
    return tableFromIPC(new Uint8Array(await new Response(packed).arrayBuffer()));
  }
  const response = await call('GET', path);
  return tableFromIPC(new Uint8Array(await response.arrayBuffer()));
}

export const api = {
  get: <T>(path: string): Promise<T> => callJson<T>('GET', path),
  post: <T>(path: string, body?: unknown, headers?: Record<string, string>): Promise<T> => callJson<T>('POST', path, body, headers),
  put: <T>(path: string, body?: unknown, headers?: Record<string, string>): Promise<T> => callJson<T>('PUT', path, body, headers),
  arrow: readArrow,
};

/** The address of a worker's script: its own file, or in a one-file page the text recorded for it. */
export function findScript(address: string): string {
  const name = address.split('/').pop() ?? address;
  const text = window.__abatis?.files?.[name];
  if (text === undefined) return address;
  const blob = URL.createObjectURL(new Blob([decodeBytes(text) as BlobPart], { type: 'text/javascript' }));
  // A page opened from a file cannot start module workers; the map takes this ending as "no module".
  return `${blob}#.cjs`;
}

/** Write a query, leaving out what is empty. */
export function query(values: Record<string, string | number | null | undefined>): string {
  const parts = Object.entries(values)
    .filter(([, value]) => value !== null && value !== undefined && value !== '')
    .map(([key, value]) => `${key}=${encodeURIComponent(String(value))}`);
  return parts.length ? `?${parts.join('&')}` : '';
}

/** Checks the chain of the ledger in the reader's own browser: nothing that the server says of it is believed. */
import type { Cell, RecordAnswer } from './types';

const FIRST_HASH = '0'.repeat(64);

/** A number as the ledger writes it: whole ones without a point, small ones as 1e-05. */
function writeNumber(value: number): string {
  if (Number.isInteger(value)) return BigInt(value).toString();
  if (Math.abs(value) >= 1e-4) return String(value);
  return value.toExponential().replace(/e-(\d)$/, 'e-0$1');
}

/** Canonical JSON: keys sorted, no spaces, letters as they are. */
export function writeCanonical(value: Cell): string {
  if (typeof value === 'number') return writeNumber(value);
  if (Array.isArray(value)) return `[${value.map(writeCanonical).join(',')}]`;
  if (value !== null && typeof value === 'object') {
    const keys = Object.keys(value).sort();
    return `{${keys.map((key) => `${JSON.stringify(key)}:${writeCanonical(value[key])}`).join(',')}}`;
  }
  return JSON.stringify(value ?? null);
}

/** What the hash of a record is taken of: all that it says but the hash itself. */
function writeHashed(record: RecordAnswer): string {
  const { access, author, body, corrects, key, kind, on, previous_hash, recorded_at, seq, source, tag } = record;
  return writeCanonical({ access, author, body, corrects, key, kind, on, previous_hash, recorded_at, seq, source, tag });
}

/** SHA-256 of a text; null where the browser has no means (a page over http from another machine). */
async function hashText(text: string): Promise<string | null> {
  if (!globalThis.crypto?.subtle) return null;
  const bytes = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text));
  return Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

export interface ChainCheck {
  count: number;
  /** number of the first record whose hash does not fit, or which does not follow the one before; null when none */
  broken: number | null;
}

/** Check records in the order of their numbers, from the first on; null where no hash can be taken. */
export async function checkChain(records: RecordAnswer[]): Promise<ChainCheck | null> {
  let before = FIRST_HASH;
  for (const [place, record] of records.entries()) {
    const hash = await hashText(writeHashed(record));
    if (hash === null) return null;
    if (record.seq !== place + 1 || record.previous_hash !== before || record.hash !== hash) {
      return { count: records.length, broken: record.seq };
    }
    before = hash;
  }
  return { count: records.length, broken: null };
}

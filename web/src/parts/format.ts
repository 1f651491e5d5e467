/** How values are written in tables: the server's format words (",.1f", "+.2f", ".0%") in the reader's language. */
import type { Cell } from "./types";

export interface Wording {
  locale: string;
  never: string;
  yes: string;
  no: string;
  undisclosed: string;
}

const SPEC = /^([+]?)(,?)(?:\.(\d+))?([fg%ds]?)$/;

/** Write one value: "-" for a missing one, the word for never, yes or no, numbers by the format. */
export function formatValue(value: Cell, format: string, words: Wording): string {
  if (value === null || value === undefined || value === "") return "-";
  if (typeof value === "boolean") return value ? words.yes : words.no;
  if (value === "never") return words.never;
  if (value === "not disclosed") return words.undisclosed;
  if (typeof value === "number") return formatBySpec(value, format, words);
  if (Array.isArray(value)) return value.length ? value.map((one) => formatValue(one, "", words)).join(", ") : "-";
  if (typeof value === "object") {
    return Object.entries(value)
      .map(([key, one]) => `${key}: ${formatValue(one, "", words)}`)
      .join("; ");
  }
  return formatWritten(value, words.locale);
}

const WRITTEN = /^[+-]?\d{1,3}(?:,\d{3})+(?:\.\d+)?$|^[+-]?\d+\.\d+$/;

/** A number that came as a text ("1,234.50") in the reader's language; other texts stay. */
export function formatWritten(text: string, locale: string): string {
  if (!WRITTEN.test(text)) return text;
  const digits = text.split('.')[1]?.length ?? 0;
  return new Intl.NumberFormat(locale, {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
    useGrouping: text.includes(','),
    signDisplay: text.startsWith('+') ? 'always' : 'auto',
  }).format(Number(text.replaceAll(',', '')));
}

function formatBySpec(value: number, format: string, words: Wording): string {
  if (!Number.isFinite(value)) return words.never;
  const found = SPEC.exec(format);
  if (!found || !found[4]) return plainNumber(value, words.locale);
  const [, sign, comma, digits, letter] = found;
  const grouped = comma === ",";
  const options: Intl.NumberFormatOptions = { useGrouping: grouped };
  if (sign) options.signDisplay = "always";
  if (letter === "g") {
    options.maximumSignificantDigits = Math.min(Number(digits ?? 6), 17) || 1;
  } else {
    const count = letter === "d" ? 0 : Number(digits ?? 6);
    options.minimumFractionDigits = count;
    options.maximumFractionDigits = count;
    if (letter === "%") options.style = "percent";
  }
  return new Intl.NumberFormat(words.locale, options).format(value);
}

function plainNumber(value: number, locale: string): string {
  return new Intl.NumberFormat(locale, { useGrouping: false, maximumFractionDigits: 6 }).format(value);
}

/** Order of two cells of a column: numbers by size, never above all numbers, missing ones last. */
export function compareCells(a: Cell, b: Cell, locale: string): number {
  const [first, second] = [rankCell(a), rankCell(b)];
  if (first.rank !== second.rank) return first.rank - second.rank;
  if (typeof first.value === "number" && typeof second.value === "number") return first.value - second.value;
  return String(first.value).localeCompare(String(second.value), locale, { numeric: true });
}

function rankCell(value: Cell): { rank: number; value: number | string } {
  if (value === null || value === undefined || value === "") return { rank: 4, value: "" };
  if (typeof value === "number") return Number.isFinite(value) ? { rank: 0, value } : { rank: 1, value: 0 };
  if (value === "never") return { rank: 1, value: 0 };
  if (typeof value === "boolean") return { rank: 0, value: value ? 1 : 0 };
  if (Array.isArray(value)) return { rank: 2, value: value.join(" ") };
  if (typeof value === "object") return { rank: 2, value: JSON.stringify(value) };
  return { rank: value === "not disclosed" ? 3 : 2, value };
}

/** A table as text for a spreadsheet: captions first, raw values, quotes doubled, no formula is let through. */
export function writeCsv(captions: string[], rows: Cell[][]): string {
  const quote = (value: Cell): string => {
    let text = value === null || value === undefined ? "" : typeof value === "object" ? JSON.stringify(value) : String(value);
    if (typeof value === "string" && /^[=+@\t\r-]/.test(text)) text = `'${text}`;
    return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return [captions, ...rows].map((row) => row.map(quote).join(",")).join("\r\n") + "\r\n";
}

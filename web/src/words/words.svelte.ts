/**
 * The words of the page in English and Lithuanian.
 *
 * `t` writes a word of the page itself: its key is the English text, so English needs no dictionary and a key that
 * is missing in lt.json does not compile. `say` writes a text that came from the server (a caption, a title, a
 * note) by its English; what lt.json does not hold stays English.
 */
import words from "./lt.json";
import { formatWritten } from "../parts/format";
import { findPattern, preparePatterns, splitUnit } from "./patterns";

export type Language = "en" | "lt";
export type Key = keyof typeof words.ui;

const STORED = "abatis.language";
const ui = words.ui as Record<string, string>;
const captions = words.captions as Record<string, string>;
const units = words.units as Record<string, string>;
const patterns = preparePatterns(captions);
const inTables = Object.keys(captions)
  .filter((key) => key.includes(" > "))
  .map((key) => [key.split(" > ")[0]!, key] as const);

function readStored(): Language {
  try {
    const kept = localStorage.getItem(STORED);
    if (kept === "en" || kept === "lt") return kept;
  } catch {
    // a page opened from a file may have no storage
  }
  return typeof navigator !== "undefined" && navigator.language?.toLowerCase().startsWith("lt") ? "lt" : "en";
}

/** The language now shown; reading `language.current` in markup follows it. */
export const language = $state<{ current: Language }>({ current: readStored() });

/** Change the language, keep the choice in this browser and name it on the document. */
export function setLanguage(next: Language): void {
  language.current = next;
  if (typeof document !== "undefined") document.documentElement.lang = next;
  try {
    localStorage.setItem(STORED, next);
  } catch {
    // nothing is kept where storage is closed
  }
}

function fill(text: string, values?: Record<string, string | number>): string {
  if (!values) return text;
  return text.replace(/\{(\w+)\}/g, (whole, name: string) =>
    name in values ? String(values[name]) : whole,
  );
}

/** A word of the page in the language shown; `{name}` in it is filled from `values`. */
export function t(key: Key, values?: Record<string, string | number>): string {
  const text = language.current === "lt" ? (ui[key] ?? key) : key;
  return fill(text, values);
}

/** A unit as it stands in brackets, in the language shown. */
export function sayUnit(unit: string): string {
  if (language.current === "en") return unit;
  return units[unit] ?? findPattern(patterns, unit, sayPlace) ?? unit;
}

/** A text of the server in the language shown: whole, else by its parts, else as it came. */
export function say(text: string | null | undefined): string {
  if (!text) return "";
  if (language.current === "en") return text;
  return sayPart(text);
}

/** A value of a table: like `say`, but a short pattern ("cost {0}") does not stretch over other people's words. */
export function sayValue(text: string): string {
  if (language.current === "en" || !text) return text;
  const whole = captions[text] ?? captions[text.toLowerCase()];
  if (whole !== undefined) return whole;
  const { caption, unit } = splitUnit(text);
  if (unit) return `${sayValue(caption)} [${sayUnit(unit)}]`;
  return findPattern(patterns, text, sayPlace, LEAST_FIXED) ?? text;
}

const LEAST_FIXED = 9;

function sayPart(text: string): string {
  const whole = captions[text] ?? ui[text] ?? captions[text.toLowerCase()];
  if (whole !== undefined) return whole;
  const { caption, unit } = splitUnit(text);
  if (unit) return `${sayPart(caption)} [${sayUnit(unit)}]`;
  return findPattern(patterns, text, sayPlace) ?? text;
}

/** A caption that means something else in some tables: "Treaty register > state" wins over "state" there. */
export function sayIn(title: string, caption: string): string {
  if (language.current === "lt") {
    for (const [start, key] of inTables) {
      if (title.startsWith(start) && key.endsWith(` > ${caption}`)) return captions[key]!;
    }
  }
  return say(caption);
}

/** What stands in a place of a pattern: a number in the language, else a text. */
function sayPlace(text: string): string {
  const number = formatWritten(text, locale());
  return number === text ? sayPart(text) : number;
}

/** The locale for numbers and dates. */
export function locale(): string {
  return language.current === "lt" ? "lt-LT" : "en-GB";
}

/** A number for people: grouped, with the decimal sign of the language. */
export function formatNumber(value: number, digits = 0): string {
  return new Intl.NumberFormat(locale(), {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  }).format(value);
}

/** Millions or billions of euros in few digits, for headings: "EUR 1.10 bn". */
export function formatMoney(value: number): string {
  const size = Math.abs(value);
  const [scale, word, digits] =
    size >= 1e9 ? [1e9, t("bn"), 2] : size >= 1e6 ? [1e6, t("m"), 1] : size >= 1e3 ? [1e3, t("k"), 0] : [1, "", 0];
  const number = formatNumber(value / scale, digits);
  return language.current === "lt"
    ? `${number} ${word ? `${word} ` : ""}EUR`
    : `EUR ${number}${word ? ` ${word}` : ""}`;
}

/** A day or a moment as the language writes it; other texts stay as they are. */
export function formatDay(text: string | null | undefined): string {
  if (!text) return "-";
  // A year or a month stays as coarse as it was said.
  if (/^\d{4}$/.test(text)) return text;
  const coarse = /^\d{4}-\d{2}$/.test(text);
  const moment = new Date(text);
  if (Number.isNaN(moment.getTime())) return text;
  const options: Intl.DateTimeFormatOptions = { year: "numeric", month: "short", ...(coarse ? {} : { day: "numeric" }) };
  if (text.includes("T")) Object.assign(options, { hour: "2-digit", minute: "2-digit" });
  return new Intl.DateTimeFormat(locale(), options).format(moment);
}

/** Texts with places that change ("Works by {0}"), and captions that end in a unit ("cost [EUR]"). */

export interface Pattern {
  test: RegExp;
  order: number[];
  text: string;
  /** letters that do not change */
  fixed: number;
}

/** A pattern with fewer fixed letters does not stretch over words that nobody translated. */
const SURE = 9;

/** Make a test of every key that holds `{0}`, the ones with most fixed letters first. */
export function preparePatterns(captions: Record<string, string>): Pattern[] {
  return Object.entries(captions)
    .filter(([key]) => /\{\d\}/.test(key))
    .sort((a, b) => countFixed(b[0]) - countFixed(a[0]))
    .map(([key, text]) => {
      const order: number[] = [];
      const parts = key.split(/\{(\d)\}/).map((part, place) => {
        if (place % 2 === 0) return part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
        order.push(Number(part));
        return "(.+?)";
      });
      return { test: new RegExp(`^${parts.join("")}$`, "s"), order, text, fixed: countFixed(key) };
    });
}

function countFixed(key: string): number {
  return key.replace(/\{\d\}/g, "").length;
}

/** The text of the first pattern that fits and has `least` fixed letters, its places translated too; else undefined. */
export function findPattern(
  patterns: readonly Pattern[],
  text: string,
  sayPart: (part: string) => string,
  least = 0,
): string | undefined {
  for (const pattern of patterns) {
    if (pattern.fixed < least) break;
    const found = pattern.test.exec(text);
    if (!found || (pattern.fixed < SURE && found.slice(1).some((part) => part.includes(' ') && sayPart(part) === part))) continue;
    return pattern.text.replace(/\{(\d)\}/g, (_, number: string) =>
      sayPart(found[pattern.order.indexOf(Number(number)) + 1] ?? ""),
    );
  }
  return undefined;
}

/** Split "cost [EUR]" into its caption and its unit; the unit is empty when there is none. */
export function splitUnit(text: string): { caption: string; unit: string } {
  const found = /^(.*\S)\s*\[([^[\]]*)\]$/s.exec(text);
  return found ? { caption: found[1]!, unit: found[2]! } : { caption: text, unit: "" };
}

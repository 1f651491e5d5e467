/** Hours as the page writes them: two digits and the unit of the language, or the word for never. */
import { formatNumber, sayUnit, t } from './words.svelte';

/** "4.95 h"; null and infinite hours are "never". */
export function formatHours(hours: number | null | undefined, digits = 2): string {
  if (hours === null || hours === undefined || !Number.isFinite(hours)) return t('never');
  return `${formatNumber(hours, digits)} ${sayUnit('h')}`;
}

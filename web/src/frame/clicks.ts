/** A click on the ground: which cell it is and what is known of it. */
import { cells, findCell, loadCells, nameCell, outlineFeature } from '../mesh/cells.svelte';
import { stage } from '../map/stage.svelte';
import { describeCell } from '../mesh/describe';
import { compareStage } from '../state/compare.svelte';
import { closeInspect, inspect } from '../state/inspect.svelte';
import { may, study } from '../state/study.svelte';
import { t } from '../words/words.svelte';

/** Open the box for the cell under a point; outside the mesh it closes. */
export async function inspectCell([lon, lat]: [number, number]): Promise<void> {
  if (!study.current || !may('viewer')) return;
  try {
    cells.current ??= await loadCells();
  } catch (error) {
    inspect({ title: t('Cell'), rows: [{ label: t('fault'), value: (error as Error).message }] });
    return;
  }
  const held = cells.current;
  const row = findCell(held, study.current.resolution, lon, lat);
  if (row < 0) {
    closeInspect();
    stage.highlight(null);
    compareStage.highlight(null);
    return;
  }
  const outline = outlineFeature(held, row);
  stage.highlight(outline);
  compareStage.highlight(outline);
  inspect({ title: t('Cell {name}', { name: nameCell(held, row) }), rows: describeCell(held, row) });
}

/** The second map, open only in the comparing view. */
import { Stage } from '../map/stage.svelte';

export const compareStage = new Stage();

/** Which figure the trace panel explains; any part may open it. */

export interface TraceState {
  of: string | null;
  record: number | null;
  caption: string;
  opener: HTMLElement | null;
}

export const trace = $state<TraceState>({ of: null, record: null, caption: "", opener: null });

function rememberOpener(): void {
  if (trace.of === null && trace.record === null) {
    trace.opener = document.activeElement instanceof HTMLElement ? document.activeElement : null;
  }
}

/** Open the panel on a figure by its id; `caption` names it until the answer is there. */
export function openTrace(of: string, caption = ""): void {
  rememberOpener();
  trace.of = of;
  trace.record = null;
  trace.caption = caption;
}

/** Open the panel on one record of the ledger. */
export function openRecord(seq: number): void {
  rememberOpener();
  trace.of = null;
  trace.record = seq;
  trace.caption = "";
}

/** Close the panel and give the focus back to what opened it. */
export function closeTrace(): void {
  const back = trace.opener;
  trace.of = null;
  trace.record = null;
  trace.opener = null;
  if (back?.isConnected) back.focus();
}

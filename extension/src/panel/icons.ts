/** The pictures of the panel, one for each kind of thing. */
import { LabIcon } from '@jupyterlab/ui-components';

const draw = (name: string, inner: string): LabIcon =>
  new LabIcon({
    name: `mlstore:panel-${name}`,
    svgstr: `<svg xmlns="http://www.w3.org/2000/svg" width="16" height="16" viewBox="0 0 16 16"><g class="jp-icon3" style="fill:none" stroke="#616161" stroke-width="1.3" stroke-linecap="round" stroke-linejoin="round">${inner}</g></svg>`
  });

export const storeIcon = draw(
  'store',
  '<ellipse cx="8" cy="3.8" rx="5" ry="1.9"/><path d="M3 3.8v8.4c0 1 2.2 1.9 5 1.9s5-.9 5-1.9V3.8M3 8c0 1 2.2 1.9 5 1.9S13 9 13 8"/>'
);
export const templateIcon = draw(
  'template',
  '<ellipse cx="6.5" cy="3.6" rx="4" ry="1.5"/><path d="M2.5 3.6v7.6c0 .8 1.5 1.5 3.5 1.6M10.5 3.6v2.6M2.5 7.4c0 .8 1.4 1.4 3.2 1.5M11 8.6v5M8.5 11.1h5"/>'
);
const table = draw(
  'table',
  '<rect x="2.5" y="3" width="11" height="10" rx="1"/><path d="M2.5 6.4h11M6.4 6.4V13"/>'
);
const query = draw('query', '<circle cx="7" cy="7" r="4"/><path d="m10 10 3.5 3.5"/>');
const transform = draw('transform', '<path d="M2.5 3h11L9.5 8v4.5l-3 1V8z"/>');
const binding = draw(
  'binding',
  '<path d="M6.5 9.5 9.5 6.5M7.6 4.7l1.5-1.5a2.6 2.6 0 0 1 3.7 3.7l-1.5 1.5M8.4 11.3l-1.5 1.5a2.6 2.6 0 0 1-3.7-3.7l1.5-1.5"/>'
);
const model = draw(
  'model',
  '<circle cx="3.5" cy="4.5" r="1.5"/><circle cx="3.5" cy="11.5" r="1.5"/><circle cx="12.5" cy="8" r="1.5"/><path d="M5 5.1 11 7.4M5 10.9l6-2.3"/>'
);
export const columnIcon = draw('column', '<path d="M8 3v10"/>');
export const keyIcon = draw('key', '<circle cx="5" cy="8" r="2.5"/><path d="M7.5 8h6M11 8v2.2M13.5 8v2"/>');

export const okIcon = draw('ok', '<path d="m3 8.6 3.2 3.2L13 4.6"/>');
export const failedIcon = draw('failed', '<path d="m4 4 8 8m0-8-8 8"/>');

const KINDS: Record<string, LabIcon> = { table, query, transform, binding, model, predictions: table };

export function iconOf(kind: string): LabIcon {
  return KINDS[kind] ?? table;
}

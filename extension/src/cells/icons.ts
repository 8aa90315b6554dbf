/** Small pictures for what completion offers. */
import { LabIcon } from '@jupyterlab/ui-components';

const draw = (name: string, inner: string): LabIcon =>
  new LabIcon({
    name: `mlstore:${name}`,
    svgstr: `<svg xmlns="http://www.w3.org/2000/svg" width="16" height="16" viewBox="0 0 16 16" fill="none" stroke-width="1.4" stroke-linecap="round" stroke-linejoin="round" class="mls-icon mls-icon-${name}">${inner}</svg>`
  });

const table = draw(
  'table',
  '<rect x="2.5" y="3" width="11" height="10" rx="1"/><path d="M2.5 6.5h11M6.5 6.5V13"/>'
);
const column = draw('column', '<rect x="5.5" y="2.5" width="5" height="11" rx="1"/><path d="M5.5 6h5"/>');
const called = draw('function', '<path d="M10.5 3.2c-2-.8-3 .3-3.2 2L6.2 12c-.3 1.4-1 1.8-2.2 1.5M5 7h5"/>');
const model = draw(
  'model',
  '<circle cx="8" cy="3.5" r="1.5"/><circle cx="4" cy="12" r="1.5"/><circle cx="12" cy="12" r="1.5"/><path d="M7.3 5 4.7 10.6M8.7 5l2.6 5.6"/>'
);
const verb = draw('verb', '<path d="M5 3.5v9l7-4.5z"/>');
const clause = draw('clause', '<path d="M3 4.5h10M3 8h7M3 11.5h4"/>');
const value = draw('value', '<circle cx="8" cy="8" r="2.5"/>');
const option = draw('option', '<path d="M3 8h4M9 8h4"/>');

const icons: Record<string, LabIcon> = {
  table,
  schema: table,
  query: table,
  transform: table,
  binding: column,
  column,
  function: called,
  model,
  version: model,
  algorithm: model,
  verb,
  clause,
  keyword: clause,
  word: value,
  parameter: value,
  option
};

/** The icon of a kind. */
export function iconOf(kind: string): LabIcon {
  return icons[kind] ?? value;
}

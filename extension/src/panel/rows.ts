/** The rows of the tree: what is unfolded and what a search finds, from the top to the bottom. */
import { Item, StoreState } from '../wire';
import { IChoice, StoresModel } from './model';

/** A row: a store, a group of things, a thing or a column of it; `unfolded` only where it can be. */
export interface IRow {
  id: string;
  level: number;
  label: string;
  parent: string | null;
  unfolded?: boolean;
  choice?: IChoice;
  store?: StoreState;
  item?: Item;
  column?: { name: string; type: string; key: boolean };
  count?: number;
}

const GROUPS: [string, string][] = [
  ['table', 'Tables'],
  ['query', 'Queries'],
  ['transform', 'Features'],
  ['binding', 'Predictions'],
  ['model', 'Models']
];

/** Lists the rows that are to be seen. */
export function rowsOf(
  model: StoresModel,
  search: string,
  folded: ReadonlySet<string>,
  shown: ReadonlySet<string>
): IRow[] {
  const rows: IRow[] = [];
  for (const store of model.stores ?? []) {
    const id = store.id;
    const open = model.isUnfolded(id) && !store.problem;
    rows.push({
      id,
      level: 1,
      label: labelOf(store),
      parent: null,
      unfolded: open,
      store,
      choice: { store: id, name: '', kind: 'store' }
    });
    const items = open ? (model.content(id)?.tree?.items ?? []) : [];
    for (const [kind, title] of GROUPS) {
      const all = items.filter(each => each.kind === kind);
      const found = search ? all.filter(each => matches(each, search)) : all;
      if (found.length === 0) {
        continue;
      }
      const group = `${id}/${kind}`;
      const unfolded = search !== '' || !folded.has(group);
      rows.push({ id: group, level: 2, label: title, parent: id, unfolded, count: found.length });
      for (const item of unfolded ? found : []) {
        const row = `${group}/${item.name}`;
        const columns = item.columns.filter(
          each => shown.has(row) || (search && !hit(item.name, search) && hit(each.name, search))
        );
        rows.push({
          id: row,
          level: 3,
          label: item.name,
          parent: group,
          unfolded: item.columns.length ? columns.length > 0 : undefined,
          item,
          choice: { store: id, name: item.name, kind: item.kind }
        });
        for (const column of columns) {
          rows.push({ id: `${row}/${column.name}`, level: 4, label: column.name, parent: row, column });
        }
      }
    }
  }
  return rows;
}

/** Says what the rows depend on in the model. */
export function versionOf(model: StoresModel): string {
  const stores = model.stores ?? [];
  return stores
    .map(
      each => `${each.id}:${model.isUnfolded(each.id)}:${model.content(each.id)?.head}:${each.problem?.code}`
    )
    .join();
}

/** Names a store by the folder it is in, when it has the usual name. */
function labelOf(store: StoreState): string {
  const parts = store.path.split('/').filter(Boolean);
  return store.name === 'mlstore' && parts.length > 1 ? parts.slice(-2).join('/') : store.name;
}

function matches(item: Item, search: string): boolean {
  return hit(item.name, search) || item.columns.some(each => hit(each.name, search));
}

function hit(text: string, search: string): boolean {
  return text.toLowerCase().includes(search);
}

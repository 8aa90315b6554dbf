// Made by scripts/wire_types.py from workbench/server/wire.py; edit that.

/** Why there is no answer. */
export interface Problem {
  code: string;
  message: string;
  hint: string;
  retryable: boolean;
}

/** A statement that is running. */
export interface Running {
  id: string;
  pid: number;
  host: string;
  kernel: string | null;
  statement: string;
  step: string;
  fraction: number | null;
  note: string;
  started: number;
}

/** A store: where it is, who has it open, what runs on it, and how it is. */
export interface StoreState {
  id: string;
  name: string;
  path: string;
  folder: string;
  kernels: string[];
  head: number | null;
  problem: Problem | null;
  running: Running[];
}

/** The stores there are. */
export interface Stores {
  stores: StoreState[];
}

/** A column; `key` says whether it is part of the key, `number` whether it is shown to the right. */
export interface Column {
  name: string;
  type: string;
  key: boolean;
  number: boolean;
}

/** What deserves to be noticed. */
export interface Badge {
  kind: 'fresh' | 'stale' | 'failed' | 'paused' | 'errors' | 'pending' | 'champion';
  text: string;
  why: string;
}

/** A thing in the tree. */
export interface Item {
  name: string;
  kind: 'table' | 'query' | 'transform' | 'binding' | 'model';
  rows: number | null;
  about: string;
  columns: Column[];
  badges: Badge[];
}

/** A cell for a verb: the verb, what it would do, and the cell's text. */
export interface Draft {
  verb: string;
  title: string;
  cell: string;
}

/** What is in a store at its newest snapshot, and a cell for each verb that is about all of it. */
export interface Tree {
  head: number;
  items: Item[];
  drafts: Draft[];
}

/** A short answer. */
export interface Fact {
  label: string;
  value: string;
}

/** What a thing is, and the cell that defines it (empty where nothing does). */
export interface Detail {
  head: number;
  item: Item;
  facts: Fact[];
  statement: string;
}

/** A cell for each verb that can be said of a thing. */
export interface Drafts {
  drafts: Draft[];
}

/** Some rows as text; `more` says whether there are others after them. */
export interface Page {
  columns: Column[];
  rows: ((string | null)[])[];
  offset: number;
  more: boolean;
}

/** A value and how often it occurs. */
export interface Count {
  value: string;
  rows: number;
}

/** One column. */
export interface ColumnProfile {
  name: string;
  type: string;
  missing: number;
  distinct: number;
  low: string;
  high: string;
  bins: number[];
  top: Count[];
}

/** The columns of a relation; `rows` were looked at, and `more` says whether there are others. */
export interface Profile {
  rows: number;
  more: boolean;
  columns: ColumnProfile[];
}

/** What a snapshot did to a thing; counts are None where it has no rows of its own. */
export interface Change {
  snapshot: number;
  time: string;
  author: string;
  message: string;
  event: string;
  inserts: number | null;
  updates: number | null;
  deletes: number | null;
}

/** What happened to a thing, newest first; `more` says whether older changes were left out. */
export interface History {
  changes: Change[];
  more: boolean;
}

/** A thing in a lineage; `level` counts from the sources, on the longest way. */
export interface GraphNode {
  name: string;
  kind: string;
  level: number;
}

/** `target` reads `source`; `values` is false where it decides only on the rows. */
export interface GraphEdge {
  source: string;
  target: string;
  values: boolean;
}

/** What a thing is made from, and what is made from it. */
export interface Graph {
  root: string;
  nodes: GraphNode[];
  edges: GraphEdge[];
}

/** A load, refresh or training that is over. */
export interface RunRow {
  name: string;
  kind: string;
  mode: string;
  reason: string;
  written: number;
  deleted: number;
  seconds: number;
  failed: boolean;
  error: string;
  started: string;
  snapshot: number;
}

/** The newest runs, newest first. */
export interface Runs {
  runs: RunRow[];
}

/** One parameter: its name, the value it has, the kind of that, and the comment beside it. */
export interface Parameter {
  name: string;
  value: string | number | boolean | null;
  kind: 'text' | 'number' | 'choice';
  about: string;
}

/** A notebook that comes with the package: its title, its first paragraph, what can be set in it. */
export interface Template {
  name: string;
  title: string;
  about: string;
  parameters: Parameter[];
}

/** The notebooks that come with the package. */
export interface Templates {
  templates: Template[];
}

/** Where a notebook was made, from the server's folder. */
export interface NewNotebook {
  path: string;
}

/** One thing that can stand at the cursor. */
export interface Completion {
  text: string;
  start: number;
  end: number;
  kind: string;
  detail: string;
  help: string;
}

/** What there is to say of a word in a cell. */
export interface About {
  start: number;
  end: number;
  kind: string;
  title: string;
  text: string;
}

/** Something that is wrong in a cell. */
export interface Mistake {
  start: number;
  end: number;
  line: number;
  column: number;
  message: string;
  hint: string;
}

/** Every answer: one of the two is null. */
export interface Answer<T> {
  data: T | null;
  problem: Problem | null;
}

/** The tree: stores, groups of things, things, and their columns; made for keyboards too. */
import { caretDownIcon, caretRightIcon, InputGroup, searchIcon } from '@jupyterlab/ui-components';
import React, { useMemo, useRef, useState } from 'react';
import { StoreState } from '../wire';
import { columnIcon, iconOf, keyIcon, storeIcon } from './icons';
import { IChoice, StoresModel } from './model';
import { Badges, compact, ProblemBox, useModel, Waiting } from './parts';
import { IRow, rowsOf, versionOf } from './rows';

/** What the tree can do beyond itself. */
export interface IActions {
  /** Shows what can be said of a thing, or of the store where `choice` has no name. */
  menu: (choice: IChoice, x: number, y: number) => void;
  /** Opens a thing in the main area. */
  open: (choice: IChoice) => void;
}

export function StoreTree({ model, actions }: { model: StoresModel; actions: IActions }): JSX.Element {
  useModel(model);
  const [search, setSearch] = useState('');
  const [folded, setFolded] = useState<ReadonlySet<string>>(new Set());
  const [shown, setShown] = useState<ReadonlySet<string>>(new Set());
  const [active, setActive] = useState('');
  const list = useRef<HTMLDivElement>(null);
  const typed = useRef({ text: '', time: 0 });
  const rows = useMemo(
    () => rowsOf(model, search.trim().toLowerCase(), folded, shown),
    [model, model.stores, search, folded, shown, versionOf(model)]
  );
  const current = rows.find(each => each.id === active) ?? rows[0];

  const focus = (row: IRow | undefined) => {
    if (row) {
      setActive(row.id);
      list.current?.querySelector<HTMLElement>(`[data-id="${CSS.escape(row.id)}"]`)?.focus();
    }
  };
  const toggle = (row: IRow, open: boolean) => {
    if (row.store) {
      model.unfold(row.store.id, open);
    } else if (row.item) {
      setShown(flip(shown, row.id, open));
    } else {
      setFolded(flip(folded, row.id, !open));
    }
  };
  const choose = (row: IRow) => {
    setActive(row.id);
    if (row.choice && row.item) {
      model.choice = row.choice;
    } else if (row.unfolded !== undefined) {
      toggle(row, !row.unfolded);
    }
  };
  const onKeyDown = (event: React.KeyboardEvent) => {
    const index = rows.indexOf(current);
    const go = (row: IRow | undefined) => {
      event.preventDefault();
      event.stopPropagation();
      focus(row);
    };
    switch (event.key) {
      case 'ArrowDown':
        return go(rows[index + 1]);
      case 'ArrowUp':
        return go(rows[index - 1]);
      case 'Home':
        return go(rows[0]);
      case 'End':
        return go(rows[rows.length - 1]);
      case 'ArrowRight':
        if (current.unfolded === false) {
          toggle(current, true);
          return go(current);
        }
        return go(current.unfolded ? rows[index + 1] : current);
      case 'ArrowLeft':
        if (current.unfolded) {
          toggle(current, false);
          return go(current);
        }
        return go(rows.find(each => each.id === current.parent));
      case ' ':
      case 'Enter':
        event.preventDefault();
        if (event.key === 'Enter' && (event.ctrlKey || event.metaKey) && current.item && current.choice) {
          return actions.open(current.choice);
        }
        return choose(current);
      case 'ContextMenu':
      case 'F10':
        if (current.choice && (event.key === 'ContextMenu' || event.shiftKey)) {
          event.preventDefault();
          const box = document.activeElement?.getBoundingClientRect();
          actions.menu(current.choice, (box?.left ?? 0) + 40, box?.bottom ?? 0);
        }
        return;
    }
    if (event.key.length === 1 && !event.ctrlKey && !event.metaKey && !event.altKey) {
      const now = Date.now();
      const text = (now - typed.current.time < 700 ? typed.current.text : '') + event.key.toLowerCase();
      typed.current = { text, time: now };
      const after = [...rows.slice(index + (text.length > 1 ? 0 : 1)), ...rows.slice(0, index)];
      go(after.find(each => each.label.toLowerCase().startsWith(text)));
    }
  };

  return (
    <div className="mlp-tree-section">
      <div className="mlp-search">
        <InputGroup
          type="text"
          placeholder="Filter by name or column"
          aria-label="Filter the stores"
          rightIcon={searchIcon}
          value={search}
          onChange={event => setSearch(event.target.value)}
          onKeyDown={event => {
            if (event.key === 'Escape') {
              setSearch('');
            } else if (event.key === 'ArrowDown') {
              event.preventDefault();
              focus(rows[0]);
            }
          }}
        />
      </div>
      {model.lost && (
        <ProblemBox
          problem={{ code: 'lost', message: model.lost, hint: 'Connecting again …', retryable: true }}
        />
      )}
      {model.stores === null && !model.lost && <Waiting />}
      {model.stores?.length === 0 && (
        <p className="mlp-empty">
          There is no store in this folder yet. <code>%mlstore tables</code> in a notebook makes one, or start
          with a template from the Launcher.
        </p>
      )}
      <div
        ref={list}
        className={`mlp-tree${model.lost ? ' mlp-dimmed' : ''}`}
        role="tree"
        aria-label="Stores"
        onKeyDown={onKeyDown}
      >
        {rows.map(row => (
          <React.Fragment key={row.id}>
            <Row
              row={row}
              tabbed={row === current}
              chosen={!!row.item && same(row.choice, model.choice)}
              here={!!row.store?.kernels.includes(model.kernel)}
              onFocus={() => setActive(row.id)}
              onChoose={() => choose(row)}
              onToggle={() => toggle(row, !row.unfolded)}
              onMenu={(x, y) => row.choice && actions.menu(row.choice, x, y)}
              onOpen={() => row.item && row.choice && actions.open(row.choice)}
            />
            {row.store && <Below model={model} store={row.store} search={search} />}
          </React.Fragment>
        ))}
        {search && rows.every(row => row.store) && rows.length > 0 && (
          <p className="mlp-empty">Nothing here has “{search}” in its name or columns.</p>
        )}
      </div>
    </div>
  );
}

/** What stands below the row of a store in place of its things. */
function Below(props: { model: StoresModel; store: StoreState; search: string }): JSX.Element | null {
  const { model, store, search } = props;
  const content = model.content(store.id);
  const problem = store.problem ?? (model.isUnfolded(store.id) ? content?.problem : null);
  if (problem) {
    return (
      <ProblemBox problem={problem} retry={problem.retryable ? undefined : () => void model.refresh()} />
    );
  }
  if (!model.isUnfolded(store.id)) {
    return null;
  }
  if (!content) {
    return <Waiting />;
  }
  if (content.tree?.items.length === 0 && !search) {
    return <p className="mlp-empty">Nothing is in it yet. Right-click the store to load a file.</p>;
  }
  return null;
}

interface IRowProps {
  row: IRow;
  tabbed: boolean;
  chosen: boolean;
  here: boolean;
  onFocus: () => void;
  onChoose: () => void;
  onToggle: () => void;
  onMenu: (x: number, y: number) => void;
  onOpen: () => void;
}

function Row({
  row,
  tabbed,
  chosen,
  here,
  onFocus,
  onChoose,
  onToggle,
  onMenu,
  onOpen
}: IRowProps): JSX.Element {
  const icon = row.store
    ? storeIcon
    : row.item
      ? iconOf(row.item.kind)
      : row.column
        ? row.column.key
          ? keyIcon
          : columnIcon
        : null;
  const Caret = row.unfolded ? caretDownIcon : caretRightIcon;
  const kind = row.store ? 'store' : row.item ? 'item' : row.column ? 'column' : 'group';
  const says = row.item ? [row.item.kind, ...row.item.badges.map(each => `${each.text}: ${each.why}`)] : [];
  return (
    <div
      className={`mlp-row mlp-row-${kind}${chosen ? ' mlp-chosen' : ''}`}
      role="treeitem"
      aria-level={row.level}
      aria-selected={chosen}
      aria-expanded={row.unfolded}
      aria-label={[row.label, ...says].join(', ')}
      tabIndex={tabbed ? 0 : -1}
      data-id={row.id}
      style={{ paddingLeft: 6 + (row.level - 1) * 12 }}
      title={titleOf(row)}
      onFocus={onFocus}
      onClick={onChoose}
      onDoubleClick={onOpen}
      onContextMenu={event => {
        if (row.choice) {
          event.preventDefault();
          event.stopPropagation();
          onMenu(event.clientX, event.clientY);
        }
      }}
    >
      {row.unfolded === undefined ? (
        <span className="mlp-caret" />
      ) : (
        <span
          className="mlp-caret"
          aria-hidden
          onClick={event => {
            event.stopPropagation();
            onToggle();
          }}
        >
          <Caret.react tag="span" />
        </span>
      )}
      {icon && <icon.react tag="span" className="mlp-row-icon" aria-hidden />}
      <span className="mlp-label">{row.label}</span>
      {row.column && <span className="mlp-aside mlp-type">{row.column.type}</span>}
      {row.count !== undefined && <span className="mlp-aside">{row.count}</span>}
      {row.item && (
        <>
          <Badges badges={row.item.badges} />
          <span
            className="mlp-aside"
            title={row.item.rows === null ? '' : `${row.item.rows.toLocaleString('en')} rows`}
          >
            {row.item.rows === null ? '' : compact(row.item.rows)}
          </span>
        </>
      )}
      {row.store && (
        <>
          {here && (
            <span className="mlp-badge mlp-badge-here" title="The notebook at hand has this store open.">
              open
            </span>
          )}
          {row.store.running.length > 0 && <span className="mlp-dot" title="A statement is running." />}
          <span className="mlp-aside">{row.store.head === null ? '' : `@${row.store.head}`}</span>
        </>
      )}
    </div>
  );
}

/** Says in full what a row has no place for. */
function titleOf(row: IRow): string | undefined {
  return row.store?.folder ?? (row.column ? `${row.label}: ${row.column.type}` : row.item && row.label);
}

function flip(set: ReadonlySet<string>, id: string, on: boolean): ReadonlySet<string> {
  const made = new Set(set);
  on ? made.add(id) : made.delete(id);
  return made;
}

function same(a: IChoice | undefined, b: IChoice | null): boolean {
  return !!a && !!b && a.store === b.store && a.name === b.name && a.kind === b.kind;
}

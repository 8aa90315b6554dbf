/** Small parts that the sections of the panel share. */
import React, { useEffect, useReducer, useRef, useState } from 'react';
import { request } from '../api';
import { Badge, Problem } from '../wire';
import { StoresModel } from './model';

/** Draws again whenever the model changes. */
export function useModel(model: StoresModel): void {
  const [, again] = useReducer((count: number) => count + 1, 0);
  useEffect(() => {
    model.changed.connect(again);
    return () => {
      model.changed.disconnect(again);
    };
  }, [model]);
}

export interface IAsked<T> {
  data: T | null;
  problem: Problem | null;
  retry: () => void;
}

const RETRY = 3000;

/**
 * Asks a question again when its words or `head` change. What was answered before stays in sight until
 * the new answer is there; a question that can be asked again is, after a moment.
 */
export function useAsked<T>(
  path: string,
  query: Record<string, string | number>,
  head: number | null
): IAsked<T> {
  const words = JSON.stringify([path, query]);
  const [state, setState] = useState<{ words: string; data: T | null; problem: Problem | null }>({
    words,
    data: null,
    problem: null
  });
  const [attempt, setAttempt] = useState(0);
  useEffect(() => {
    let current = true;
    let timer = 0;
    const settle = (data: T | null, problem: Problem | null) => {
      if (!current) {
        return;
      }
      setState(before => ({ words, data: data ?? (before.words === words ? before.data : null), problem }));
      if (problem?.retryable) {
        timer = window.setTimeout(() => setAttempt(count => count + 1), RETRY);
      }
    };
    request<T>(path, query).then(
      answer => settle(answer.data, answer.problem),
      (error: Error) => settle(null, { code: 'lost', message: error.message, hint: '', retryable: true })
    );
    return () => {
      current = false;
      window.clearTimeout(timer);
    };
  }, [words, head, attempt]);
  const known = state.words === words ? state : { data: null, problem: null };
  return { data: known.data, problem: known.problem, retry: () => setAttempt(count => count + 1) };
}

/** Says why something is not shown. */
export function ProblemBox({ problem, retry }: { problem: Problem; retry?: () => void }): JSX.Element {
  return (
    <div className="mlp-problem" role="alert" data-code={problem.code}>
      <p>{problem.message}</p>
      {problem.hint && <p className="mlp-hint">{problem.hint}</p>}
      {retry && (
        <button className="jp-mod-styled mlp-small-button" onClick={retry}>
          Try again
        </button>
      )}
    </div>
  );
}

/** Bars where an answer will be. */
export function Waiting(): JSX.Element {
  return (
    <div className="mlp-waiting" role="status" aria-label="Loading">
      <span />
      <span />
      <span />
    </div>
  );
}

export function Badges({ badges }: { badges: Badge[] }): JSX.Element {
  return (
    <>
      {badges.map(each => (
        <span key={each.kind} className={`mlp-badge mlp-badge-${each.kind}`} title={each.why}>
          {each.text}
        </span>
      ))}
    </>
  );
}

const NUMBER = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 });

/** Writes a count so that it fits beside a name. */
export function compact(count: number): string {
  return count < 10_000 ? count.toLocaleString('en') : NUMBER.format(count);
}

/** Writes how long ago something was. */
export function ago(time: string, now = Date.now()): string {
  const seconds = Math.max(0, (now - Date.parse(time)) / 1000);
  const steps: [number, string][] = [
    [86400, 'd'],
    [3600, 'h'],
    [60, 'min']
  ];
  for (const [length, unit] of steps) {
    if (seconds >= length) {
      return `${Math.floor(seconds / length)} ${unit} ago`;
    }
  }
  return 'just now';
}

/** Writes a length of time. */
export function lasting(seconds: number): string {
  if (seconds < 60) {
    return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  }
  const minutes = Math.floor(seconds / 60);
  return minutes < 60
    ? `${minutes} min ${Math.round(seconds % 60)} s`
    : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** The time, told again every second while something is shown that depends on it. */
export function useNow(on: boolean): number {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    if (!on) {
      return;
    }
    setNow(Date.now());
    const timer = window.setInterval(() => setNow(Date.now()), 1000);
    return () => window.clearInterval(timer);
  }, [on]);
  return now;
}

/** Keeps a value that changes from drawing to drawing without drawing again. */
export function useLatest<T>(value: T): React.MutableRefObject<T> {
  const kept = useRef(value);
  kept.current = value;
  return kept;
}

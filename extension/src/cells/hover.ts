/**
 * What a word means, beside the pointer: how a function is called, what a clause does, the type of a column.
 */
import { Extension } from '@codemirror/state';
import { hoverTooltip } from '@codemirror/view';
import { About } from '../wire';
import { Asker } from './ask';

/** Shows what is known of the word under the pointer. */
export function explanations(asker: Asker): Extension {
  return hoverTooltip(
    async (view, position) => {
      const text = view.state.doc.toString();
      let found: About | null = null;
      try {
        found = await asker.about(text, position, view);
      } catch {
        return null;
      }
      if (!found || view.state.doc.toString() !== text) {
        return null;
      }
      const said = found;
      return { pos: said.start, end: said.end, above: true, create: () => ({ dom: card(said) }) };
    },
    { hoverTime: 350 }
  );
}

function card(said: About): HTMLElement {
  const dom = document.createElement('div');
  dom.className = 'mls-about';
  dom.setAttribute('role', 'tooltip');
  const title = document.createElement('code');
  title.className = 'mls-about-title';
  title.textContent = said.title;
  const text = document.createElement('pre');
  text.className = 'mls-about-text';
  text.textContent = said.text;
  dom.append(title, text);
  return dom;
}

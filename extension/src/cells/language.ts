/**
 * The language of a cell with statements: headers, and in them SQL or Python, each with a parser of its own.
 */
import { pythonLanguage } from '@codemirror/lang-python';
import { SQLDialect } from '@codemirror/lang-sql';
import { defineLanguageFacet, Language, languageDataProp, sublanguageProp } from '@codemirror/language';
import {
  Input,
  NodeSet,
  NodeType,
  parseMixed,
  Parser,
  PartialParse,
  Tree,
  TreeFragment
} from '@lezer/common';
import { styleTags, tags } from '@lezer/highlight';
import { isCell, IStretch, Kind, statements } from './scan';
import { SQL_KEYWORDS, SQL_TYPES } from './words';

/** DuckDB's SQL. Functions are told from columns by their parenthesis, so no name is one by itself. */
export const duckdb = SQLDialect.define({
  keywords: SQL_KEYWORDS,
  types: SQL_TYPES,
  builtin: '',
  doubleDollarQuotedStrings: true,
  operatorChars: '*+-%<>!=&|~^/:@',
  specialVar: '$?',
  identifierQuotes: '"'
});

const cellData = defineLanguageFacet({ commentTokens: { line: '--', block: { open: '/*', close: '*/' } } });
const magicData = defineLanguageFacet({ commentTokens: {} });
const pythonData = defineLanguageFacet({ commentTokens: { line: '#' } });

const names: Kind[] = [
  'Magic',
  'Verb',
  'Clause',
  'Value',
  'Option',
  'Name',
  'Quoted',
  'Text',
  'Number',
  'Variable',
  'Version',
  'Operator',
  'Comment',
  'Sql',
  'Python'
];
const cellType = NodeType.define({
  id: 1,
  name: 'StatementCell',
  top: true,
  props: [
    languageDataProp.add({ StatementCell: cellData }),
    // The first line cannot be a comment: the cell would be no statement any more.
    sublanguageProp.add({
      StatementCell: [{ type: 'replace', test: node => node.name === 'Magic', facet: magicData }]
    })
  ]
});
const linesType = NodeType.define({
  id: 2,
  name: 'StatementLines',
  top: true,
  props: [languageDataProp.add({ StatementLines: pythonData })]
});
const around = NodeType.define({ id: 3, name: 'Around' });
const types = new NodeSet([
  NodeType.none,
  cellType,
  linesType,
  around,
  ...names.map((name, index) => NodeType.define({ id: index + 4, name }))
]).extend(
  styleTags({
    Magic: tags.meta,
    Verb: tags.keyword,
    Clause: tags.keyword,
    Value: tags.atom,
    Option: tags.attributeName,
    Quoted: tags.special(tags.string),
    Text: tags.string,
    Number: tags.number,
    Variable: tags.special(tags.variableName),
    Version: tags.labelName,
    Operator: tags.operator,
    Comment: tags.comment
  })
).types;
const typeOf = (name: Kind): NodeType => types[names.indexOf(name) + 4];

/** Makes the outer tree in one go: a cell is small, and what is nested in it is parsed bit by bit. */
class Outer implements PartialParse {
  parsedPos: number;
  stoppedAt: number | null = null;

  constructor(
    private input: Input,
    private from: number,
    private to: number
  ) {
    this.parsedPos = from;
  }

  stopAt(position: number): void {
    this.stoppedAt = position;
  }

  advance(): Tree {
    const to = Math.max(this.from, Math.min(this.to, this.stoppedAt ?? this.to));
    const text = this.input.read(this.from, to);
    this.parsedPos = to;
    const whole = isCell(text);
    const found = statements(text);
    const nodes = found.flatMap(each => each.stretches.map(node => ({ ...node, type: typeOf(node.kind) })));
    const all = whole ? nodes : [...nodes, ...gaps(text, found)].sort((a, b) => a.from - b.from);
    return new Tree(
      types[whole ? cellType.id : linesType.id],
      all.map(each => new Tree(each.type, [], [], each.to - each.from)),
      all.map(each => each.from),
      to - this.from
    );
  }
}

/** The Python between statements. */
function gaps(
  text: string,
  found: { from: number; to: number }[]
): { type: NodeType; from: number; to: number }[] {
  const edges = [0, ...found.flatMap(each => [each.from, each.to]), text.length];
  const pairs = Array.from({ length: edges.length / 2 }, (_, i) => ({
    type: types[around.id],
    from: edges[2 * i],
    to: edges[2 * i + 1]
  }));
  return pairs.filter(each => each.to > each.from);
}

class CellParser extends Parser {
  private nest = parseMixed(node => {
    switch (node.type) {
      case typeOf('Sql'):
        return { parser: duckdb.language.parser };
      case typeOf('Python'):
        return { parser: pythonLanguage.parser };
      case types[linesType.id]:
        // One parse over all the Python there is, so that a block can go on after a statement.
        return { parser: pythonLanguage.parser, overlay: inner => inner.type === types[around.id] };
      default:
        return null;
    }
  });

  createParse(
    input: Input,
    fragments: readonly TreeFragment[],
    ranges: readonly { from: number; to: number }[]
  ): PartialParse {
    const outer = new Outer(input, ranges[0].from, ranges[ranges.length - 1].to);
    return this.nest(outer, input, fragments, ranges);
  }
}

export const statementLanguage = new Language(cellData, new CellParser(), [], 'mlstore');

export type { IStretch };

"""The style sheet of all displays.

It goes along with every output, so that a saved or exported notebook looks the same. Colours are
JupyterLab's theme variables, then VS Code's, then ones that read on light and on dark alike.
`.mls.mls` outweighs the rules that JupyterLab has for tables.
"""

from __future__ import annotations

CSS = """
.mls{--mls-text:var(--jp-content-font-color1,var(--vscode-foreground,currentColor));
--mls-muted:var(--jp-content-font-color2,var(--vscode-descriptionForeground,#80868b));
--mls-line:var(--jp-border-color2,rgba(128,134,139,.28));
--mls-back:var(--jp-layout-color0,var(--vscode-editor-background,Canvas));
--mls-soft:rgba(128,134,139,.09);
--mls-mono:var(--jp-code-font-family,ui-monospace,SFMono-Regular,Menlo,Consolas,monospace);
--mls-good:#1e8e4e;--mls-warn:#b26a00;--mls-bad:#d23f31;--mls-info:#2a72d4;
color:var(--mls-text);font-family:var(--jp-ui-font-family,system-ui,sans-serif);
font-size:13px;line-height:1.45;margin:2px 0;max-width:100%}
[data-jp-theme-light=false] .mls,.vscode-dark .mls{--mls-good:#56c98a;--mls-warn:#e3a44a;
--mls-bad:#f2796b;--mls-info:#74a9f5}
.mls .mls-head{display:flex;align-items:baseline;gap:8px;margin:2px 0 6px}
.mls .mls-name{font-size:15px;font-weight:600}
.mls .mls-kind,.mls .mls-title,.mls .mls-foot{color:var(--mls-muted);font-size:12px}
.mls .mls-title{margin:10px 0 3px;font-weight:600}
.mls .mls-foot{margin-top:4px;font-variant-numeric:tabular-nums}
.mls .mls-good{color:var(--mls-good)}.mls .mls-warn{color:var(--mls-warn)}
.mls .mls-bad{color:var(--mls-bad)}.mls .mls-info{color:var(--mls-info)}
.mls .mls-badge{border:1px solid currentColor;border-radius:9px;padding:0 7px;font-size:11px;
line-height:16px;white-space:nowrap;color:var(--mls-muted)}
.mls .mls-badge.mls-good{color:var(--mls-good)}.mls .mls-badge.mls-warn{color:var(--mls-warn)}
.mls .mls-badge.mls-bad{color:var(--mls-bad)}.mls .mls-badge.mls-info{color:var(--mls-info)}
.mls .mls-facts{display:grid;grid-template-columns:max-content minmax(0,1fr);gap:2px 16px;margin:4px 0 8px}
.mls .mls-facts dt{color:var(--mls-muted);float:none;font-weight:400;margin:0;padding:0;white-space:nowrap;
width:auto}
.mls .mls-facts dd{float:none;margin:0;width:auto;padding:0;overflow-wrap:anywhere;
font-variant-numeric:tabular-nums}
.mls .mls-note{margin:2px 0;white-space:pre-wrap}
.mls pre.mls-code{background:var(--mls-soft);border-radius:4px;color:var(--mls-text);
font-family:var(--mls-mono);font-size:12px;margin:2px 0 8px;max-height:420px;overflow:auto;padding:8px 10px;
white-space:pre}
.mls .mls-scroll{border:1px solid var(--mls-line);border-radius:4px;
display:inline-block;max-height:520px;
max-width:100%;overflow:auto;scrollbar-color:rgba(128,134,139,.5) transparent;scrollbar-width:thin;
vertical-align:top}
.mls.mls table.mls-grid{border:0;border-collapse:separate;border-spacing:0;color:var(--mls-text);
font-size:12px;margin:0;table-layout:auto;width:auto}
.mls.mls table.mls-grid th,.mls.mls table.mls-grid td{border:0;
border-bottom:1px solid var(--mls-line);max-width:340px;overflow:hidden;padding:3px 12px;text-align:left;
text-overflow:ellipsis;vertical-align:baseline;
white-space:nowrap}
.mls.mls table.mls-grid tbody tr:last-child td{border-bottom:0}
.mls.mls table.mls-grid thead th{background:var(--mls-back);font-weight:600;line-height:1.25;
padding:5px 12px 4px;position:sticky;top:0;z-index:1}
.mls.mls table.mls-grid thead small{
color:var(--mls-muted);display:block;font-size:10.5px;font-weight:400}
.mls.mls table.mls-grid tbody tr,.mls.mls table.mls-grid tbody tr:nth-child(n){background:transparent}
.mls.mls table.mls-grid tbody tr:hover{background:var(--mls-soft)}
.mls.mls table.mls-grid .mls-right{font-variant-numeric:tabular-nums;text-align:right}
.mls.mls table.mls-grid .mls-image{max-height:96px;min-height:32px;vertical-align:middle}
.mls.mls table.mls-grid .mls-null{color:var(--mls-muted);font-size:10.5px;opacity:.75}
.mls.mls table.mls-grid td.mls-good{color:var(--mls-good)}
.mls.mls table.mls-grid td.mls-warn{color:var(--mls-warn)}
.mls.mls table.mls-grid td.mls-bad{color:var(--mls-bad)}
.mls.mls table.mls-grid td.mls-info{color:var(--mls-info)}
.mls.mls table.mls-grid td.mls-mark{background:rgba(227,164,74,.22);box-shadow:inset 2px 0 0 var(--mls-warn)}
.mls .mls-card{border:1px solid var(--mls-line);border-radius:6px;margin:8px 0;padding:6px 10px 10px}
.mls .mls-row{display:flex;flex-wrap:wrap;gap:4px 32px}.mls .mls-row .mls-title{margin-top:0}
.mls svg.mls-picture{display:block;font-family:var(--jp-ui-font-family,system-ui,sans-serif);height:auto;
max-width:100%}
.mls svg.mls-picture text{fill:var(--mls-text)}
.mls svg.mls-picture .mls-faint{fill:var(--mls-muted)}
.mls .mls-bar{background:var(--mls-soft);border-radius:2px;height:4px;margin:3px 0;max-width:420px;
overflow:hidden}
.mls .mls-bar i{background:var(--jp-brand-color1,#2a72d4);display:block;height:4px}
""".strip().replace("\n", "")
"""The style sheet, on one line."""

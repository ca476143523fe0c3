/** Colours of the page in light and in dark; phases differ in lightness too, for those who see few colours. */
export const pageStyle = `
:root { --page: #fff; --text: #1c1e21; --dim: #5c6370; --grid: #e4e7ec; --stripe: #f7f8fa;
  --queue: #c9ced6; --pull: #6d4fc2; --run: #2f6fbf; --search: #b8468f; --commit: #2b8a45; --compress: #d08700;
  --push: #0e8f8f; --other: #7d8590; --bad: #c62828 }
@media (prefers-color-scheme: dark) {
  :root { --page: #15181d; --text: #e7e9ec; --dim: #a3abb8; --grid: #2b313a; --stripe: #1a1e24;
    --queue: #4b535f; --pull: #a98df0; --run: #5a9be6; --search: #e27dbd; --commit: #58b873; --compress: #e8ab3a;
    --push: #3fc1c1; --other: #8a93a0; --bad: #ff7b72 } }
* { box-sizing: border-box }
body { margin: 0; background: var(--page); color: var(--text); font: 13px/1.4 system-ui, sans-serif }
header { padding: 16px 20px 8px } h1 { margin: 0; font-size: 18px; overflow-wrap: anywhere } p { margin: 4px 0; color: var(--dim) }
.legend { display: flex; flex-wrap: wrap; gap: 4px 16px; margin: 8px 0 0; padding: 0; list-style: none }
.legend i { display: inline-block; width: 12px; height: 12px; margin-right: 6px; border-radius: 2px; vertical-align: -1px }
table { width: 100%; min-width: 860px; border-collapse: collapse; table-layout: fixed }
col.name { width: 30% } col.num { width: 84px } col.time { width: 118px }
th, td { height: 24px; padding: 0 8px; font-weight: normal; text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums }
th:first-child { padding-left: 20px; text-align: left } td:last-child, thead th:last-child { padding-right: 20px }
thead th { position: sticky; top: 0; z-index: 2; background: var(--page); color: var(--dim); border-bottom: 1px solid var(--grid) }
tbody tr:nth-child(even) { background: var(--stripe) }
tbody th div { overflow: hidden; text-overflow: ellipsis; font: 12px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace }
tr.cached th, tr.cached td { color: var(--dim) } tr.failed th, em { color: var(--bad); font-style: normal }
.axis, .track div { position: relative; height: 24px } .axis span { position: absolute; line-height: 24px; padding-left: 3px }
.track u { position: absolute; top: 0; bottom: 0; width: 1px; background: var(--grid) }
.track b { position: absolute; top: 5px; height: 14px; min-width: 2px; border-radius: 2px }
.queue { background: var(--queue) } .pull { background: var(--pull) } .run { background: var(--run) }
.search { background: var(--search) } .commit { background: var(--commit) } .compress { background: var(--compress) }
.push { background: var(--push) } .other { background: var(--other) } i.cached, b.cached { background: var(--dim) }
b.queue { height: 6px !important; top: 9px !important } b.cached { width: 3px; border-radius: 0 !important }
td em { margin-left: 4px }
`;

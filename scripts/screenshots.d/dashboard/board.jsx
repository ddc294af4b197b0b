// A board as Grafana's own components draw it: panels, units, thresholds, overrides and transformations are theirs.

import {
  FieldType,
  Registry,
  ThemeContext,
  applyFieldOverrides,
  createTheme,
  dateTime,
  getDisplayProcessor,
  getDisplayValueAlignmentFactors,
  getFieldDisplayValues,
  standardTransformers,
  standardTransformersRegistry,
  toDataFrame,
  transformDataFrame,
} from "@grafana/data";
import { BarGauge, BigValue, Gauge, GlobalStyles, PanelChrome, Table, TimeSeries, VizRepeater } from "@grafana/ui";
import { createRoot } from "react-dom/client";
import { lastValueFrom } from "rxjs";

const UNIT = 30;
const GAP = 8;
const WIDTH = 1440;

// One of them is listed twice.
const transformers = new Map(Object.values(standardTransformers).map((one) => [one.id, one]));
standardTransformersRegistry.setInit(() =>
  [...transformers.values()].map((one) => ({ id: one.id, name: one.name, transformation: one, editor: () => null })),
);

const { board, from, to, values, answers, height } = window.given;
const theme = createTheme({ colors: { mode: "dark" } });
const range = { from: dateTime(from * 1000), to: dateTime(to * 1000), raw: { from: "now-15m", to: "now" } };

/** Put the variables' values into a text. */
const filled = (text) =>
  text.replace(/\$(?:\{(\w+)(?::\w+)?\}|(\w+))/g, (whole, braced, plain) => values[braced ?? plain] ?? whole);

/** What Prometheus answered a target, as frames. */
function frames(target) {
  return answers[target.key].map(({ metric, values: points }) => {
    const labels = Object.fromEntries(Object.entries(metric).filter(([name]) => name !== "__name__"));
    const legend = filled(target.legendFormat ?? "").replace(/\{\{\s*(\w+)\s*\}\}/g, (_, name) => labels[name] ?? "");
    return toDataFrame({
      refId: target.refId,
      name: legend,
      fields: [
        { name: "Time", type: FieldType.time, values: points.map(([time]) => time * 1000) },
        {
          name: "Value",
          type: FieldType.number,
          labels,
          values: points.map(([, value]) => (value === "NaN" ? null : Number(value))),
          config: legend ? { displayNameFromDS: legend } : {},
        },
      ],
    });
  });
}

/** As Prometheus' data source answers for a table: one frame per target, a field per label. */
function asTable(target) {
  const series = answers[target.key];
  const names = [...new Set(series.flatMap(({ metric }) => Object.keys(metric)))].filter((name) => name !== "__name__");
  return toDataFrame({
    refId: target.refId,
    fields: [
      { name: "Time", type: FieldType.time, values: series.map(() => to * 1000) },
      ...names.map((name) => ({ name, type: FieldType.string, values: series.map(({ metric }) => metric[name] ?? "") })),
      {
        name: `Value #${target.refId}`,
        type: FieldType.number,
        values: series.map(({ values: points }) => Number(points.at(-1)[1])),
      },
    ],
  });
}

async function data(panel) {
  const raw = panel.targets.flatMap((target) => (target.format === "table" ? [asTable(target)] : frames(target)));
  const transformed = await lastValueFrom(transformDataFrame(panel.transformations ?? [], raw, { interpolate: filled }));
  return applyFieldOverrides({
    data: transformed,
    fieldConfig: panel.fieldConfig,
    replaceVariables: filled,
    theme,
    timeZone: "utc",
    fieldConfigRegistry: registry(panel.fieldConfig),
  });
}

const STANDARD = ["displayName", "unit", "min", "max", "decimals", "thresholds", "mappings", "noValue", "color"];

/** The options of fields that a panel uses: those that all panels have, and its own, which Grafana keeps under `custom`. */
function registry({ defaults, overrides }) {
  const told = overrides.flatMap(({ properties }) => properties.map(({ id }) => id)).filter((id) => id.startsWith("custom."));
  const custom = [...new Set([...Object.keys(defaults.custom ?? {}).map((name) => `custom.${name}`), ...told])];
  const option = (id, isCustom) => ({
    id,
    name: id,
    path: id.replace("custom.", ""),
    isCustom,
    process: (value) => value,
    shouldApply: () => true,
  });
  return new Registry(() => [...STANDARD.map((id) => option(id, false)), ...custom.map((id) => option(id, true))]);
}

const DRAWN = {
  timeseries: (panel, shown, width, height) => (
    <TimeSeries
      frames={shown}
      structureRev={1}
      timeRange={range}
      timeZone="utc"
      width={width}
      height={height}
      legend={panel.options.legend}
      options={panel.options}
      replaceVariables={filled}
    >
      {() => null}
    </TimeSeries>
  ),
  stat: (panel, shown, width, height) =>
    repeated(panel, shown, width, height, (display, size, values) => (
      <BigValue
        {...size}
        value={display.display}
        count={values.length}
        sparkline={display.sparkline && { ...display.sparkline, timeRange: range }}
        colorMode={panel.options.colorMode}
        graphMode={panel.options.graphMode}
        justifyMode={panel.options.justifyMode}
        textMode={panel.options.textMode}
        theme={theme}
      />
    )),
  gauge: (panel, shown, width, height) =>
    repeated(panel, shown, width, height, (display, size) => (
      <Gauge
        {...size}
        value={display.display}
        field={display.field}
        theme={theme}
        showThresholdLabels={panel.options.showThresholdLabels ?? false}
        showThresholdMarkers={panel.options.showThresholdMarkers ?? true}
      />
    )),
  bargauge: (panel, shown, width, height) =>
    repeated(panel, shown, width, height, (display, size, _, alignmentFactors) => (
      <BarGauge
        {...size}
        value={display.display}
        field={display.field}
        display={getDisplayProcessor({ field: { ...display.view.dataFrame.fields[1], config: display.field }, theme })}
        orientation={panel.options.orientation}
        displayMode={panel.options.displayMode}
        showUnfilled={panel.options.showUnfilled}
        alignmentFactors={alignmentFactors}
        valueDisplayMode={panel.options.valueMode}
        theme={theme}
        itemSpacing={8}
        lcdCellWidth={12}
      />
    )),
  table: (panel, shown, width, height) => (shown.length ? <Table data={shown[0]} width={width} height={height} /> : null),
};

function repeated(panel, shown, width, height, draw) {
  const getValues = () =>
    getFieldDisplayValues({
      fieldConfig: panel.fieldConfig,
      reduceOptions: panel.options.reduceOptions,
      replaceVariables: filled,
      theme,
      data: shown,
      sparkline: panel.type === "stat" && panel.options.graphMode !== "none",
      timeZone: "utc",
    });
  return (
    <VizRepeater
      source={shown}
      getValues={getValues}
      getAlignmentFactors={getDisplayValueAlignmentFactors}
      renderValue={({ value, width: w, height: h, alignmentFactors }) => draw(value, { width: w, height: h }, getValues(), alignmentFactors)}
      renderCounter={0}
      width={width}
      height={height}
      orientation={panel.options.orientation ?? "auto"}
      itemSpacing={8}
    />
  );
}

function Panel({ panel, shown }) {
  const { x, y, w, h } = panel.gridPos;
  const column = (WIDTH - 2 * GAP + GAP) / 24;
  const place = {
    position: "absolute",
    left: GAP + x * column,
    top: 56 + y * (UNIT + GAP),
    width: w * column - GAP,
    height: h * (UNIT + GAP) - GAP,
  };
  if (panel.type === "row") return <h2 style={{ ...place, fontSize: 16, lineHeight: "30px", margin: 0 }}>{panel.title}</h2>;
  return (
    <div style={place}>
      <PanelChrome title={filled(panel.title)} width={place.width} height={place.height} padding={panel.type === "table" ? "none" : "md"}>
        {(width, height) => DRAWN[panel.type](panel, shown, width, height)}
      </PanelChrome>
    </div>
  );
}

const shown = await Promise.all(board.panels.map((panel) => (panel.type === "row" ? [] : data(panel))));
const ground = theme.colors.background.canvas;
document.body.style.cssText = `margin:0;background:${ground};width:${WIDTH}px;height:${height}px;position:relative`;
const place = document.body.appendChild(document.createElement("div"));
createRoot(place).render(
  <ThemeContext.Provider value={theme}>
    <GlobalStyles />
    <h1 style={{ fontSize: 18, padding: "16px 12px", margin: 0 }}>{board.title}</h1>
    {board.panels.map((panel, index) => (
      <Panel key={index} panel={panel} shown={shown[index]} />
    ))}
  </ThemeContext.Provider>,
);

//go:build e2e

package main_test

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// axe is a program that looks for what keeps people from using a page, as
// `make e2e` fetches it.
const axe = "testdata/browser/node_modules/axe-core/axe.min.js"

// look is how a page is looked at.
type look struct {
	name          string
	width, height int64
	scale         float64
	scheme        string
}

var (
	wide  = look{"wide", 1120, 820, 1, "light"}
	dark  = look{"dark", 1120, 820, 1, "dark"}
	phone = look{"phone", 360, 740, 2, "light"}
	night = look{"night", 360, 740, 2, "dark"}
	looks = []look{wide, dark, phone, night}
)

// tab is a page in a separate headless browser.
type tab struct {
	t   *testing.T
	ctx context.Context //nolint:containedctx // It is the browser's.

	mu       sync.Mutex
	console  []string // errors and warnings
	requests []string
}

func openTab(t *testing.T) *tab {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true))
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 4*guard)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	b := &tab{t: t, ctx: ctx}
	messages := chromedp.Console(ctx)
	requests := chromedp.Events(ctx, network.RequestWillBeSent)
	go func() {
		for message, err := range messages {
			if err != nil {
				return
			}
			b.mu.Lock()
			b.console = append(b.console, message.String())
			b.mu.Unlock()
		}
	}()
	go func() {
		for request, err := range requests {
			if err != nil {
				return
			}
			b.mu.Lock()
			b.requests = append(b.requests, request.Request.URL)
			b.mu.Unlock()
		}
	}()
	return b
}

// do runs steps in the page.
func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	require.NoError(b.t, chromedp.Do(b.ctx, steps...))
}

// evaluate returns the value of an expression in the page.
func evaluate[T any](b *tab, expression string, options ...chromedp.EvaluateOption) T {
	b.t.Helper()
	value, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression, options...))
	require.NoError(b.t, err, expression)
	return value
}

// waits waits until an expression is true in the page.
func (b *tab) waits(expression string) {
	b.t.Helper()
	_, err := chromedp.Run(b.ctx, chromedp.Poll[bool](expression, chromedp.WithPollingMutation(), chromedp.WithPollingTimeout(guard)))
	require.NoError(b.t, err, "%s; the page shows: %s", expression, evaluate[string](b, "document.body.innerText"))
}

// says waits until the page shows something.
func (b *tab) says(text string) {
	b.t.Helper()
	b.waits(fmt.Sprintf("document.body.innerText.includes(%q)", text))
}

// takes looks at the page in another way.
func (b *tab) takes(l look) {
	b.t.Helper()
	b.do(chromedp.EmulateViewport(l.width, l.height, chromedp.EmulateScale(l.scale)))
	_, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: l.scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
	}})
	require.NoError(b.t, err)
}

// accessible checks that axe finds nothing in the page as it is looked at.
func (b *tab) accessible(about string) {
	b.t.Helper()
	program, err := os.ReadFile(axe)
	require.NoError(b.t, err, "fetch it first: make e2e")
	b.do(chromedp.Evaluate[chromedp.Void](string(program)))
	found := evaluate[[]string](b, `axe.run(document, {resultTypes: ["violations"]}).then(({violations}) =>
		violations.flatMap(({id, help, nodes}) => nodes.map(({html, failureSummary}) => [id, help, html, failureSummary].join(": "))))`, chromedp.EvalAwaitPromise)
	require.Empty(b.t, found, about)
}

// fits checks that nothing is wider than the page or its card, and no name so narrow that it
// falls to pieces.
func (b *tab) fits(about string) {
	b.t.Helper()
	require.LessOrEqual(b.t, evaluate[int](b, "document.documentElement.scrollWidth"), evaluate[int](b, "document.documentElement.clientWidth"), about)
	require.Empty(b.t, evaluate[[]string](b, `[...document.querySelectorAll(".name, .badge, tbody th")].filter((element) => {
		const words = document.createRange(); // A cell is as high as its row.
		words.selectNodeContents(element);
		return words.getBoundingClientRect().height > 80;
	}).map(({innerText}) => innerText)`), about)
	require.Empty(b.t, evaluate[[]string](b, `[...document.querySelectorAll(".card :is(p, h2, th, td, td > span, .badge, .sub, .name, .count, dd, figcaption)")]
		.filter((element) => !element.closest(".unseen, thead") && element.getBoundingClientRect().right > element.closest(".card").getBoundingClientRect().right + 1)
		.map(({innerText}) => innerText)`), about)
}

// drawn checks that each chart has a scale that can be read, left of its bars, and that no card
// has its number of accounts three times.
func (b *tab) drawn(about string) {
	b.t.Helper()
	require.Empty(b.t, evaluate[[]string](b, `[...document.querySelectorAll(".chart")].flatMap((chart) => {
		const bars = Math.min(...[...chart.querySelectorAll("rect")].map((bar) => bar.getBoundingClientRect().left));
		const numbers = [...chart.querySelectorAll(".scale text")];
		if (numbers.length !== 2) return ["a chart without a scale"];
		return numbers.map((number) => [number.textContent, number.getBoundingClientRect()])
			.filter(([, {right, height}]) => right > bars || height < 11).map(([text, {right, height}]) => [text, right, bars, height].join(" "));
	})`), about)
	require.Empty(b.t, evaluate[[]string](b, `[...document.querySelectorAll("article")].map(({innerText}) => innerText)
		.filter((text) => text.split(text.match(/C1 (?:still )?has ([\d,]+ )account/)[1].trim()).length > 3)`), about)
}

// printed checks the page on paper: dark on white also for a reader who has it dark, without
// what only a screen can do, and with the addresses of its links.
func (b *tab) printed(about string) {
	b.t.Helper()
	b.do(chromedp.EmulateViewport(794, 1123))
	_, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Media: "print", Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}},
	})
	require.NoError(b.t, err)
	b.fits(about + ", printed")
	require.Less(b.t, evaluate[int](b, `getComputedStyle(document.body).color.match(/\d+/g).slice(0, 3).reduce((sum, part) => sum + Number(part), 0)`), 3*80, about)
	require.Equal(b.t, "light only", evaluate[string](b, `getComputedStyle(document.documentElement).colorScheme`), about)
	require.Equal(b.t, "none", evaluate[string](b, `getComputedStyle(document.querySelector(".live")).display`), about)
	require.True(b.t, evaluate[bool](b, `[...document.querySelectorAll("a.todo")].every((link) => getComputedStyle(link, "::after").content.includes("https://"))`), about)
}

// quiet checks that nothing went wrong in the page, and that it asked no server but
// its own host.
func (b *tab) quiet(origin string) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	require.Empty(b.t, b.console)
	require.NotEmpty(b.t, b.requests)
	for _, url := range b.requests {
		require.True(b.t, strings.HasPrefix(url, origin+"/"), url)
	}
}

//go:build e2e

package main_test

import (
	"bytes"
	"flag"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/sandbox/c1"
	"github.com/batonhost/baton-host/sandbox/scim"
)

var screenshots = flag.String("screenshots", "", "a directory to write screenshots of the status page into")

// shop is a service with two uploads over three apps, whose accounts grow.
type shop struct {
	*tenant
	fullstory, design, wiki *outage
	host                    *service
}

func openShop(t *testing.T) *shop {
	t.Helper()
	s := &shop{
		tenant:    startC1(t, c1.Options{}),
		fullstory: startFlakyApp(t, scim.Options{App: "fullstory", Seed: 1, Accounts: 380, PageCap: 50}),
		design:    startFlakyApp(t, scim.Options{App: "design-tool", Seed: 2, Accounts: 164, PageCap: 50}),
		wiki:      startFlakyApp(t, scim.Options{App: "wiki", Seed: 3, Accounts: 95, PageCap: 50}),
	}
	config, env := companies(t, s.tenant, s.fullstory.app, s.design.app, s.wiki.app)
	lines, err := os.ReadFile(config)
	require.NoError(t, err)
	lines = bytes.ReplaceAll(lines, []byte("    plugins: ["), []byte("    on-plugin-failure: last-good\n    plugins: ["))
	require.NoError(t, os.WriteFile(config, lines, 0o600))
	s.host = startRun(t, env, "--config", config, "--state-dir", t.TempDir(), "--retry-for", "0", "--listen", "127.0.0.1:0")
	return s
}

// grow adds accounts to an app, which come from where its first ones do.
func grow(t *testing.T, app *outage, name string, seed uint64, by int) {
	t.Helper()
	before := len(app.server.Accounts())
	people, err := scim.People(name, seed, before+by)
	require.NoError(t, err)
	for _, one := range people[before:] {
		require.NoError(t, app.server.Add(one))
	}
}

// syncs has C1 ask for a sync of every upload, several times.
func (s *shop) syncs(t *testing.T, times int) {
	t.Helper()
	for i := range times {
		grow(t, s.fullstory, "fullstory", 1, 3+i%3*4)
		grow(t, s.wiki, "wiki", 3, i%2*3)
		for _, client := range []string{"workforce", "contractors"} {
			require.True(t, s.finished(t, s.fullSync(t, client)).Succeeded)
		}
	}
}

// TestBrowser_ShowsThePageInEveryState takes a service through its states, and looks at
// the page in each of them in every way: with axe for what keeps people from using
// it, and at its width. It never loads the page again.
func TestBrowser_ShowsThePageInEveryState(t *testing.T) {
	t.Parallel()
	s := openShop(t)
	url := s.host.url()
	b := openTab(t)
	b.takes(wide)
	b.do(chromedp.Navigate(url + "/"))
	b.says("Waiting for the first sync")
	b.waits(`document.title === "Waiting for the first sync – baton-host"`)
	b.do(chromedp.Evaluate[chromedp.Void]("window.loadedOnce = true"))
	inspect := func(state string) {
		t.Helper()
		for _, l := range looks {
			b.takes(l)
			b.accessible(state + ", " + l.name)
			b.fits(state + ", " + l.name)
			b.drawn(state + ", " + l.name)
			b.photograph("status-"+state+"-"+l.name+".png", l)
		}
		b.takes(look{"narrow", 320, 600, 1, "light"})
		b.fits(state + ", as narrow as pages get")
		b.printed(state)
		b.takes(wide)
	}

	s.syncs(t, 12)
	b.says("Everything is fresh")
	b.says("Accounts of the last 12 syncs, since ")
	inspect("idle")

	reached, release := s.fullstory.hold(4)
	id := s.fullSync(t, "workforce")
	<-reached
	b.waits(`document.title === "Syncing – Everything is fresh – baton-host"`)
	b.waits(`document.querySelectorAll("progress").length === 2 && [...document.querySelectorAll("progress")].every(({value}) => value > 0)`)
	inspect("syncing")
	release()
	require.True(t, s.finished(t, id).Succeeded)
	b.waits(`document.title === "Everything is fresh – baton-host"`)
	require.Zero(t, evaluate[int](b, `document.querySelectorAll("progress").length`))

	s.fullstory.fail(0)
	require.True(t, s.finished(t, s.fullSync(t, "workforce")).Succeeded)
	b.says("workforce is stale")
	b.says("the answer was 500 Internal Server Error")
	b.says("The host falls back until ")
	require.Equal(t, []string{"upload-stale", "upload-stale"}, evaluate[[]string](b, entries))
	inspect("stale")

	s.design.fail(0)
	require.False(t, s.finished(t, s.fullSync(t, "workforce")).Succeeded)
	b.says("workforce failed")
	require.Equal(t, "upload-failed", evaluate[[]string](b, entries)[0], "of the card")
	inspect("failed")

	require.True(t, evaluate[bool](b, "window.loadedOnce"), "it has kept itself up to date")
	require.NotContains(t, evaluate[string](b, "document.documentElement.outerHTML"), "lovelace")
	b.quiet(url)
	s.host.stop()
}

// entries are where the page leads to in the runbook.
const entries = `[...document.querySelectorAll("a.todo")].map(({href}) => href.split("runbook.md#")[1])`

// photograph takes a picture of what is seen of the page first, and writes it down
// if that is wanted.
func (b *tab) photograph(name string, l look) {
	b.t.Helper()
	picture, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	require.NoError(b.t, err)
	decoded, err := png.Decode(bytes.NewReader(picture))
	require.NoError(b.t, err)
	require.Equal(b.t, int(float64(l.width)*l.scale), decoded.Bounds().Dx(), "all of its width is seen")
	if *screenshots == "" {
		return
	}
	var packed bytes.Buffer
	require.NoError(b.t, (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&packed, withFewColours(decoded)))
	require.NoError(b.t, os.WriteFile(filepath.Join(*screenshots, name), packed.Bytes(), 0o644)) //nolint:gosec // It is for everybody to see.
}

// withFewColours returns a picture in its most frequent colours, which is a third as
// large as a file and looks the same.
func withFewColours(picture image.Image) image.Image {
	times := map[color.Color]int{}
	bounds := picture.Bounds()
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			times[picture.At(x, y)]++
		}
	}
	colours := slices.SortedFunc(maps.Keys(times), func(a, b color.Color) int { return times[b] - times[a] })
	few := image.NewPaletted(bounds, colours[:min(len(colours), 256)])
	draw.Draw(few, bounds, picture, bounds.Min, draw.Src)
	return few
}

// TestBrowser_KeepsOpenWhatTheReaderHasOpened uses the page by keyboard while it changes.
func TestBrowser_KeepsOpenWhatTheReaderHasOpened(t *testing.T) {
	t.Parallel()
	s := openShop(t)
	s.syncs(t, 1)
	url := s.host.url()
	b := openTab(t)
	b.do(chromedp.Navigate(url + "/"))
	b.says("Live")
	b.do(chromedp.KeyEvent(kb.Tab))
	require.Equal(t, "The last syncs of workforce", evaluate[string](b, "document.activeElement.innerText"))
	require.Equal(t, "solid 3px", evaluate[string](b, `(({outlineStyle, outlineWidth}) => outlineStyle + " " + outlineWidth)(getComputedStyle(document.activeElement))`), "where the keyboard is, is seen")
	b.do(chromedp.KeyEvent(kb.Enter))
	b.waits(`document.querySelector("details").open`)

	s.syncs(t, 2)
	b.says("Accounts of the last 3 syncs, since ")
	require.True(t, evaluate[bool](b, `document.querySelector("details").open`))
	require.Equal(t, 3, evaluate[int](b, `document.querySelector("details").querySelectorAll("tbody tr").length`))
	require.Equal(t, "The last syncs of workforce", evaluate[string](b, "document.activeElement.innerText"), "the keyboard is where it was")
	for _, next := range []string{"The last syncs of contractors", "Metrics", "JSON"} {
		b.do(chromedp.KeyEvent(kb.Tab))
		require.Equal(t, next, evaluate[string](b, "document.activeElement.innerText"))
	}
	b.quiet(url)
	s.host.stop()
}

// TestBrowser_ShowsThePageInTheReadersColours holds that dark is dark.
func TestBrowser_ShowsThePageInTheReadersColours(t *testing.T) {
	t.Parallel()
	s := openShop(t)
	b := openTab(t)
	brightness := func(l look) int {
		b.takes(l)
		return evaluate[int](b, `getComputedStyle(document.body).backgroundColor.match(/\d+/g).slice(0, 3).reduce((sum, part) => sum + Number(part), 0)`)
	}
	b.do(chromedp.Navigate(s.host.url() + "/"))
	require.Greater(t, brightness(wide), 3*200)
	require.Less(t, brightness(dark), 3*50)
	s.host.stop()
}

// TestBrowser_ShowsThePageWithoutScript holds that a browser without scripts shows it,
// and loads it again by itself.
func TestBrowser_ShowsThePageWithoutScript(t *testing.T) {
	t.Parallel()
	s := openShop(t)
	url := s.host.url()
	b := openTab(t)
	_, err := chromedp.Call(b.ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	require.NoError(t, err)
	loaded := chromedp.Events(b.ctx, page.LoadEventFired)
	b.do(chromedp.Navigate(url + "/"))
	text, err := chromedp.Run(b.ctx, chromedp.Text(chromedp.CSS("body")))
	require.NoError(t, err)
	require.Contains(t, text, "Waiting for the first sync")
	require.Contains(t, text, "Refreshed every 10 seconds")
	require.NotContains(t, text, "Live")
	s.syncs(t, 1)
	times := 0
	for _, err := range loaded {
		require.NoError(t, err)
		if times++; times == 3 { // The last one began after the sync.
			break
		}
	}
	text, err = chromedp.Run(b.ctx, chromedp.Text(chromedp.CSS("body")))
	require.NoError(t, err)
	require.Contains(t, text, "Everything is fresh")
	b.quiet(url)
	s.host.stop()
}

// TestBrowser_ShowsThatAHostIsGone holds that the page does not go on showing how a
// host was as if it still were.
func TestBrowser_ShowsThatAHostIsGone(t *testing.T) {
	t.Parallel()
	s := openShop(t)
	b := openTab(t)
	b.do(chromedp.Navigate(s.host.url() + "/"))
	b.says("Live")
	require.False(t, evaluate[bool](b, `document.body.innerText.includes("does not answer")`))
	s.host.signal(syscall.SIGKILL)
	s.host.ends()
	b.says("The host does not answer. This is how it was at ")
	require.False(t, evaluate[bool](b, `document.body.innerText.includes("Live")`))
}

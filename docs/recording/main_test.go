package main

import (
	"encoding/xml"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestFollow_PlacesLinesInTime(t *testing.T) {
	t.Parallel()
	times := []time.Duration{0, 100 * time.Millisecond, time.Minute, time.Minute}
	now := func() time.Time {
		at := time.Unix(0, 0).Add(times[0])
		times = times[1:]
		return at
	}
	lines, err := follow(strings.NewReader("$ baton-host check\n"+strings.Repeat("é", columns)+"ab\nlast\n"), now)
	require.NoError(t, err)
	require.Equal(t, []line{
		{"$ baton-host check", 100 * time.Millisecond},
		{strings.Repeat("é", columns), 100*time.Millisecond + reading + longest},
		{"ab", 100*time.Millisecond + reading + longest},
		{"last", 100*time.Millisecond + reading + longest},
	}, lines)
}

func TestDraw_ShowsEveryLineAsItIs(t *testing.T) {
	t.Parallel()
	lines := []line{{"$ echo '<a & b>'", 0}, {"", 0}, {"<a & b>  two blanks", time.Second}}
	picture, err := draw(lines)
	require.NoError(t, err)
	var svg struct {
		Texts []struct {
			Text  string `xml:",chardata"`
			Class string `xml:"class,attr"`
			Style string `xml:"style,attr"`
		} `xml:"text"`
	}
	require.NoError(t, xml.Unmarshal(picture, &svg))
	require.Len(t, svg.Texts, 2)
	require.Equal(t, lines[0].text, svg.Texts[0].Text)
	require.Equal(t, "command", svg.Texts[0].Class)
	require.Equal(t, lines[2].text, svg.Texts[1].Text)
	require.Equal(t, "animation-delay:1000ms", svg.Texts[1].Style)
}

func TestRecord_FailsWithTheScript(t *testing.T) {
	t.Parallel()
	require.ErrorContains(t, record("no-such-script.sh", t.TempDir()+"/x.svg"), "no-such-script.sh failed, so there is no picture")
}

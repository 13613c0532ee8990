package hostlog

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/conductorone/baton-sdk/pkg/logging"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
)

// pipe is a file that takes a write for each line that is read of it.
type pipe struct {
	reads chan struct{}
	mu    sync.Mutex
	text  bytes.Buffer
}

func (p *pipe) Write(line []byte) (int, error) {
	if p.reads != nil {
		<-p.reads
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.Write(line)
}

func (p *pipe) lines() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Split(strings.TrimSuffix(p.text.String(), "\n"), "\n")
}

func TestWriterIsSynchronousWhereItIsRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		to := &pipe{}
		w := NewWriter(to)
		var want []string
		for i := range 200 {
			want = append(want, fmt.Sprint("line ", i))
			n, err := fmt.Fprintln(w, want[i])
			require.NoError(t, err)
			require.Equal(t, len(want[i])+1, n)
			require.Equal(t, want, to.lines(), "a crash may come at once")
		}
		require.Zero(t, w.Dropped())
		require.NoError(t, w.Sync())
	})
}

func TestWriterKeepsTheLinesOfManyWhole(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		to := &pipe{}
		w := NewWriter(to)
		var writing sync.WaitGroup
		for letter := range strings.SplitSeq("a b c d e f g h i j k l m n o p q r s t", " ") {
			writing.Go(func() {
				for range 50 {
					_, _ = fmt.Fprintln(w, strings.Repeat(letter, 100))
				}
			})
		}
		writing.Wait()
		require.NoError(t, w.Sync())
		require.Len(t, to.lines(), 1000)
		for _, line := range to.lines() {
			require.Equal(t, strings.Repeat(line[:1], 100), line)
		}
	})
}

func TestWriterWhereItIsNotRead(t *testing.T) {
	t.Parallel()
	t.Run("H10: only the first line is waited for, and what is lost is reported in its place", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			to := &pipe{reads: make(chan struct{})}
			w := NewWriter(to)
			log := New(w, logging.LogFormatJSON, zap.ErrorLevel)
			begun := time.Now()
			log.Error("first")
			require.Equal(t, patience, time.Since(begun))
			begun = time.Now()
			written := 1
			for ; w.Dropped() < 5; written++ {
				log.Error("more", zap.String("text", strings.Repeat("x", 1000)))
			}
			require.Zero(t, time.Since(begun))

			to.reads <- struct{}{}
			synctest.Wait()
			to.reads <- struct{}{}
			synctest.Wait()
			log.Error("room again")
			close(to.reads)
			require.NoError(t, w.Sync())
			lines := to.lines()
			require.Len(t, lines, written-5+2)
			require.Contains(t, lines[0], `"msg":"first"`)
			var report struct {
				Level, Msg string
				Lines      int
			}
			require.NoError(t, json.Unmarshal([]byte(lines[len(lines)-2]), &report))
			require.Equal(t, "warn", report.Level)
			require.Equal(t, lostLines, report.Msg)
			require.Equal(t, 5, report.Lines)
			require.Contains(t, lines[len(lines)-1], `"msg":"room again"`)

			log.Error("as before")
			require.Contains(t, to.lines()[len(lines)], "as before", "it has caught up, and is synchronous again")
		})
	})
	t.Run("H10: what was lost last is reported without another line", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			to := &pipe{reads: make(chan struct{})}
			w := NewWriter(to)
			for w.Dropped() < 3 {
				_, _ = fmt.Fprintln(w, strings.Repeat("x", 1000))
			}
			close(to.reads)
			require.NoError(t, w.Sync())
			lines := to.lines()
			require.Equal(t, "baton-host: warning: "+lostLines+" (lines: 3)", lines[len(lines)-1])
		})
	})
	t.Run("H10: the end does not wait for ever", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			to := &pipe{reads: make(chan struct{})}
			w := NewWriter(to)
			_, _ = fmt.Fprintln(w, "x")
			begun := time.Now()
			require.ErrorIs(t, w.Sync(), errNotRead)
			require.Equal(t, flushIdle, time.Since(begun))
			close(to.reads)
		})
	})
	t.Run("the end waits for a slow reader, up to a limit", func(t *testing.T) {
		t.Parallel()
		for lines, whole := range map[int]bool{5: true, 50: false} {
			synctest.Test(t, func(t *testing.T) {
				to := &pipe{reads: make(chan struct{})}
				w := NewWriter(to)
				for i := range lines {
					_, _ = fmt.Fprintln(w, i)
				}
				go func() {
					for range lines {
						time.Sleep(time.Second)
						to.reads <- struct{}{}
					}
				}()
				err := w.Sync()
				require.Equal(t, whole, err == nil)
				if whole {
					require.Len(t, to.lines(), lines)
				}
				time.Sleep(time.Duration(lines) * time.Second)
			})
		}
	})
}

func TestWriterToAPipe(t *testing.T) {
	t.Parallel()
	t.Run("H10: a pipe that is full holds nothing up", func(t *testing.T) {
		t.Parallel()
		reader, writer, err := os.Pipe()
		require.NoError(t, err)
		w := NewWriter(writer)
		log := New(w, logging.LogFormatJSON, zap.InfoLevel)
		written := uint64(0)
		for ; w.Dropped() < 100; written++ { // Would never end if it waited.
			log.Info("line", zap.Uint64("n", written), zap.String("text", strings.Repeat("x", 500)))
		}

		read := make(chan []string)
		go func() {
			var lines []string
			for scanner := bufio.NewScanner(reader); scanner.Scan(); {
				lines = append(lines, scanner.Text())
			}
			read <- lines
		}()
		for w.Sync() != nil { // Nothing shows when a busy machine lets the reader read.
			continue
		}
		require.NoError(t, writer.Close())
		var reported uint64
		lines := <-read
		for _, line := range lines {
			var one struct {
				Msg   string
				Lines uint64
			}
			require.NoError(t, json.Unmarshal([]byte(line), &one), line)
			reported += one.Lines
		}
		require.Equal(t, w.Dropped(), reported)
		require.Equal(t, written, uint64(len(lines))-1+reported)
	})
	t.Run("a reader that is gone", func(t *testing.T) {
		t.Parallel()
		reader, writer := io.Pipe()
		require.NoError(t, reader.Close())
		w := NewWriter(writer)
		for range 100 {
			_, err := fmt.Fprintln(w, "x")
			require.NoError(t, err)
		}
		require.NoError(t, w.Sync())
		require.Zero(t, w.Dropped())
	})
}

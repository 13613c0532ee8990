package objects_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host/internal/state/objects"
	"github.com/batonhost/baton-host/sandbox/s3"
)

const secretKey = "canary-secret-key-000001"

func TestMain(m *testing.M) {
	for name, value := range map[string]string{"AWS_ACCESS_KEY_ID": "AKIATEST", "AWS_SECRET_ACCESS_KEY": secretKey} {
		if err := os.Setenv(name, value); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

// open returns a store in a bucket of a server that is started for it.
func open(t *testing.T, options s3.Options, change func(*objects.Location)) (objects.Store, *s3.Server) {
	t.Helper()
	options.Bucket = "baton"
	if options.AccessKey == "" {
		options.AccessKey = "AKIATEST"
	}
	server := s3.New(options)
	listening := httptest.NewServer(server)
	t.Cleanup(listening.Close)
	location, err := objects.Parse("s3://baton/a/b?endpoint="+listening.URL, "")
	require.NoError(t, err)
	if change != nil {
		change(&location)
	}
	store, err := objects.Open(location)
	require.NoError(t, err)
	return store, server
}

func sumOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// TestStores_KeepObjects, both kinds alike.
func TestStores_KeepObjects(t *testing.T) {
	t.Parallel()
	bucket, _ := open(t, s3.Options{PageSize: 2}, nil)
	directory, err := objects.Open(objects.Location{Directory: t.TempDir()})
	require.NoError(t, err)
	for name, store := range map[string]objects.Store{"bucket": bucket, "directory": directory} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			_, err := store.Get(ctx, "u/x")
			require.Equal(t, fs.ErrNotExist, err)
			found, err := store.List(ctx, "u/", "")
			require.NoError(t, err)
			require.Empty(t, found)
			for i := range 5 {
				text := strings.Repeat("x", i*1000)
				require.NoError(t, store.Put(ctx, fmt.Sprintf("u/%d", i), strings.NewReader(text), int64(len(text)), sumOf(text)))
			}
			require.NoError(t, store.Put(ctx, "v/9", strings.NewReader("v"), 1, sumOf("v")))
			content, err := store.Get(ctx, "u/3")
			require.NoError(t, err)
			text, err := io.ReadAll(content)
			require.NoError(t, err)
			require.NoError(t, content.Close())
			require.Len(t, text, 3000)

			var winners atomic.Int32
			var racing sync.WaitGroup
			for i := range 16 {
				racing.Go(func() {
					if err := store.Create(ctx, "u/7", fmt.Append(nil, i)); err == nil {
						winners.Add(1)
					} else if err != fs.ErrExist { //nolint:errorlint,err113 // It is the error itself.
						t.Error(err)
					}
				})
			}
			racing.Wait()
			require.Equal(t, int32(1), winners.Load())

			require.NoError(t, store.Remove(ctx, "u/4"))
			require.NoError(t, store.Remove(ctx, "u/4"))
			found, err = store.List(ctx, "u/", "u/1")
			require.NoError(t, err)
			var names []string
			for _, one := range found {
				names = append(names, one.Name)
				require.WithinDuration(t, time.Now(), one.Modified, time.Hour)
			}
			require.Equal(t, []string{"u/2", "u/3", "u/7"}, names)
		})
	}
}

// TestBucket_SaysWhatIsWrong, without the secret key.
func TestBucket_SaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	answers := func(status int, code string) func(*s3.Server) {
		return func(s *s3.Server) {
			s.Break(func(*http.Request) s3.Fault { return s3.Fault{Status: status, Code: code} })
		}
	}
	for name, c := range map[string]struct {
		options s3.Options
		change  func(*objects.Location)
		harm    func(*s3.Server)
		says    string
		isFinal bool
	}{
		"no such bucket":     {change: func(l *objects.Location) { l.Bucket = "bacon" }, says: `there is no bucket "bacon" at 127.0.0.1:`, isFinal: true},
		"another key":        {options: s3.Options{AccessKey: "AKIAOTHER"}, says: "refuses the credentials of this host (InvalidAccessKeyId)", isFinal: true},
		"no permission":      {harm: answers(403, "AccessDenied"), says: "are not allowed to read s3://baton/a/b/x (AccessDenied): allow them s3:GetObject there", isFinal: true},
		"another region":     {harm: answers(400, "AuthorizationHeaderMalformed"), says: "is in another region", isFinal: true},
		"a clock":            {harm: answers(403, "RequestTimeTooSkewed"), says: "the clock of this machine is too far", isFinal: true},
		"500":                {harm: answers(500, "InternalError"), says: "answers 500 (InternalError) when s3://baton/a/b/x is to be read"},
		"slow down":          {harm: answers(503, "SlowDown"), says: "answers 503 (SlowDown)"},
		"no server is there": {change: func(l *objects.Location) { l.Endpoint = "127.0.0.1:1" }, says: "127.0.0.1:1 cannot be reached"},
		"cut off":            {harm: func(s *s3.Server) { s.Break(func(*http.Request) s3.Fault { return s3.Fault{Cut: true} }) }, says: "cannot be reached, or breaks off"},
		"slow":               {harm: func(s *s3.Server) { s.Break(func(*http.Request) s3.Fault { return s3.Fault{Wait: time.Hour} }) }, says: "does not answer in time"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store, server := open(t, c.options, c.change)
			server.Set("a/b/x", []byte("0123456789"), 0)
			if c.harm != nil {
				c.harm(server)
			}
			ctx := t.Context()
			if name == "slow" {
				limited, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
				defer cancel()
				ctx = limited
			}
			content, err := store.Get(ctx, "x")
			if err == nil {
				_, err = io.ReadAll(content)
				require.NoError(t, content.Close())
			}
			require.ErrorContains(t, err, c.says)
			require.Equal(t, c.isFinal, objects.IsFinal(err))
			require.NotContains(t, err.Error(), secretKey)
		})
	}
}

func TestDirectory_SaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	place := filepath.Join(t.TempDir(), "mount")
	store, err := objects.Open(objects.Location{Directory: place})
	require.NoError(t, err)
	for _, err := range []error{
		store.Create(t.Context(), "x", nil),
		func() error { _, err := store.Get(t.Context(), "x"); return err }(),
		func() error { _, err := store.List(t.Context(), "x/", ""); return err }(),
	} {
		require.ErrorContains(t, err, "the directory "+place+" of the shared state does not exist: mount it, or make it")
		require.True(t, objects.IsFinal(err))
	}
	require.NoDirExists(t, place, "where nothing is mounted it would be another one on each host")
	require.NoError(t, os.WriteFile(place, nil, 0o600))
	require.ErrorContains(t, store.Create(t.Context(), "x", nil), "is not a directory")
}

// TestDirectory_LeavesNothingHalf of a write that was cut off, and lists nothing that is
// unfinished.
func TestDirectory_LeavesNothingHalf(t *testing.T) {
	t.Parallel()
	place := t.TempDir()
	store, err := objects.Open(objects.Location{Directory: place})
	require.NoError(t, err)
	require.NoError(t, store.Create(t.Context(), "u/1", []byte("x")))
	left := filepath.Join(place, "u", ".new-OLD")
	require.NoError(t, os.WriteFile(left, []byte("half"), 0o600))
	found, err := store.List(t.Context(), "u/", "")
	require.NoError(t, err)
	require.Len(t, found, 1)
	require.FileExists(t, left, "it may be being written")
	old := time.Now().Add(-48 * time.Hour)
	require.NoError(t, os.Chtimes(left, old, old))
	_, err = store.List(t.Context(), "u/", "u/1")
	require.NoError(t, err)
	require.NoFileExists(t, left)
}

func TestParse_TakesDirectoriesAndBuckets(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]objects.Location{
		"shared":                                   {Directory: "/etc/baton-host/shared"},
		"/shared/baton/":                           {Directory: "/shared/baton"},
		"file:///shared/x":                         {Directory: "/shared/x"},
		"s3://state/a/b/?region=eu-central-1":      {Bucket: "state", Prefix: "a/b", Region: "eu-central-1"},
		"s3://state?endpoint=https://s3.local:443": {Bucket: "state", Endpoint: "s3.local:443"},
		"s3://state?endpoint=http://127.0.0.1:80":  {Bucket: "state", Endpoint: "127.0.0.1:80", Plain: true},
	} {
		found, err := objects.Parse(text, "/etc/baton-host")
		require.NoError(t, err, text)
		require.Equal(t, want, found, text)
	}
	for text, says := range map[string]string{
		"":                                      "is empty",
		"file://shared":                         "has a file URL without an absolute path",
		"gs://state":                            "begins with gs://",
		"s3://":                                 "has no bucket",
		"s3://key:canary@state/x":               "has credentials in its URL",
		"s3://state?endpoint=http://minio:9000": "has an endpoint without TLS",
		"s3://state?endpoint=minio":             "has an endpoint that is no address",
		"s3://state?endpoint=https://a:b@c":     "has an endpoint that is no address",
		"s3://state?regoin=x":                   `has the parameter "regoin"`,
		"s3://state?zone=x&regoin=x&area=x":     `has the parameter "area"`,
		"s3://state?region=":                    `has no single value of "region"`,
		"s3://state/#x":                         "has a URL with a #",
		"s3://st ate\x7f?secret=canary-in-a-text": "is no URL",
	} {
		_, err := objects.Parse(text, "/")
		require.ErrorContains(t, err, says, text)
		require.NotContains(t, err.Error(), "canary")
	}
}

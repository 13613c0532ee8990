package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/conductorone/baton-sdk/pkg/logging"
	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"github.com/spf13/cobra"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/batonhost/baton-host/sandbox/c1"
)

// c1Options are what the command was asked for.
type c1Options struct {
	addr      string
	dir       string
	clients   []string
	syncEvery time.Duration
	lease     time.Duration
	nextPoll  time.Duration
	exitAfter int
}

func (o *c1Options) check() error {
	switch {
	case o.dir == "":
		return errors.New("the directory for credentials and uploads is missing; pass --dir")
	case len(o.clients) == 0:
		return errors.New("there is no client; pass --client with a name")
	case o.syncEvery < 0:
		return fmt.Errorf("the time between two full syncs must not be negative, unlike %s", o.syncEvery)
	case o.lease <= 0:
		return fmt.Errorf("the lease must be longer than %s", o.lease)
	case o.nextPoll < 0:
		return fmt.Errorf("the pause before the next poll must not be negative, unlike %s", o.nextPoll)
	case o.exitAfter < 0:
		return fmt.Errorf("the number of full syncs to exit after must not be negative, unlike %d", o.exitAfter)
	}
	return nil
}

func newC1Command() *cobra.Command {
	var opts c1Options
	cmd := &cobra.Command{
		Use:   "c1",
		Short: "Run a stand-in for ConductorOne's end of service mode",
		Long: `Run a stand-in for ConductorOne's end of service mode, until it is interrupted.

Once it listens it prints one line, its address, to standard output. Its log
goes to standard error. In the directory it writes

  ca.pem         what connectors must trust, such as by SSL_CERT_FILE
  NAME.env       the variables BATON_CLIENT_ID and BATON_CLIENT_SECRET of a client
  uploads/NAME/  what the client uploaded

Each client finds a full sync waiting for it.`,
		Example: `  baton-sandbox c1 --dir demo --client fullstory --client design-tool
  (set -a; . demo/fullstory.env; SSL_CERT_FILE=demo/ca.pem exec baton-fullstory)`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := opts.check(); err != nil {
				return err
			}
			return runC1(cmd.Context(), cmd.OutOrStdout(), opts)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&opts.addr, "addr", "127.0.0.1:0", "the loopback address to listen on; port 0 takes a free one")
	flags.StringVar(&opts.dir, "dir", "", "the directory for credentials and uploads; made if it does not exist")
	flags.StringSliceVar(&opts.clients, "client", []string{"fullstory"}, "the name of a client; may be repeated")
	flags.DurationVar(&opts.syncEvery, "sync-every", 0, "ask each client for a full sync this often, such as 10m; 0 asks once")
	flags.DurationVar(&opts.lease, "lease", c1.DefaultLease, "how long a task is a connector's without a heartbeat")
	flags.DurationVar(&opts.nextPoll, "next-poll", c1.DefaultNextPoll, "the pause that connectors make before they ask for the next task")
	flags.IntVar(&opts.exitAfter, "exit-after", 0, "end once this many full syncs were uploaded and finished well, with a line for each upload on standard output, and with status 1 if one failed for good; 0 runs on")
	return cmd
}

func runC1(ctx context.Context, stdout io.Writer, opts c1Options) error {
	ctx, err := logging.Init(ctx, logging.WithLogFormat(logging.LogFormatConsole))
	if err != nil {
		return fmt.Errorf("start the log: %w", err)
	}
	listener, err := listen(ctx, opts.addr)
	if err != nil {
		return err
	}
	goal := newGoal(opts.exitAfter)
	log := ctxzap.Extract(ctx)
	nextPoll := opts.nextPoll
	if nextPoll == 0 {
		nextPoll = -1 // 0 is the default
	}
	server, err := c1.Start(c1.Options{
		Listener: listener,
		Dir:      filepath.Join(opts.dir, "uploads"),
		Lease:    opts.lease,
		NextPoll: nextPoll,
		OnEvent: func(e c1.Event) {
			logEvent(log, e)
			goal.see(e)
		},
	})
	if err != nil {
		return err
	}
	defer func() {
		drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
		defer cancel()
		server.Shutdown(drain)
	}()
	if err := writeCredentials(server, opts.dir, opts.clients); err != nil {
		return err
	}
	syncs := map[string]string{}
	if err := queueSyncs(server, opts.clients, syncs); err != nil {
		return err
	}
	log.Info("serving as ConductorOne", zap.String("address", server.Addr()), zap.String("dir", opts.dir), zap.Strings("clients", opts.clients))
	if _, err := fmt.Fprintln(stdout, server.Addr()); err != nil {
		return fmt.Errorf("print the address: %w", err)
	}

	var again <-chan time.Time
	if opts.syncEvery > 0 {
		ticker := time.NewTicker(opts.syncEvery)
		defer ticker.Stop()
		again = ticker.C
	}
	for {
		select {
		case <-again:
			if err := queueSyncs(server, opts.clients, syncs); err != nil {
				return err
			}
		case <-goal.reached:
			if err := printUploads(stdout, server.Uploads("")); err != nil {
				return err
			}
			return goal.result()
		case <-ctx.Done():
			log.Info("stopping")
			if opts.exitAfter > 0 {
				return fmt.Errorf("stopped before %d full syncs were finished", opts.exitAfter)
			}
			return nil
		}
	}
}

// writeCredentials makes the clients and writes what they need into files.
func writeCredentials(server *c1.Server, dir string, clients []string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the directory: %w", err)
	}
	if err := writeFile(filepath.Join(dir, "ca.pem"), server.CAPEM()); err != nil {
		return err
	}
	for _, name := range clients {
		credentials, err := server.AddClient(name)
		if err != nil {
			return err
		}
		// Neither value can hold a quote: an id's name is checked, and a secret is base64.
		variables := fmt.Sprintf("BATON_CLIENT_ID='%s'\nBATON_CLIENT_SECRET='%s'\n", credentials.ID, credentials.Secret)
		if err := writeFile(filepath.Join(dir, name+".env"), []byte(variables)); err != nil {
			return err
		}
	}
	return nil
}

// writeFile puts a file that its owner alone can read in the place of what is
// there, whatever the mode of that is.
func writeFile(path string, data []byte) error {
	file, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	_, err = file.Write(data)
	err = errors.Join(err, file.Close())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		_ = os.Remove(file.Name())
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// queueSyncs queues a full sync for each client that has none waiting or under
// way. The map holds each client's last one.
func queueSyncs(server *c1.Server, clients []string, last map[string]string) error {
	for _, name := range clients {
		if outcome, exists := server.Result(last[name]); exists && !outcome.Done {
			continue
		}
		task, err := server.AddFullSync(name, nil)
		if err != nil {
			return err
		}
		last[name] = task
	}
	return nil
}

func printUploads(stdout io.Writer, uploads []c1.Upload) error {
	var lines strings.Builder
	for _, u := range uploads {
		fmt.Fprintf(&lines, "client=%s task=%s bytes=%d sha256=%x\n", u.Client, u.TaskID, u.Size, u.SHA256)
	}
	if _, err := io.WriteString(stdout, lines.String()); err != nil {
		return fmt.Errorf("print the uploads: %w", err)
	}
	return nil
}

func logEvent(log *zap.Logger, e c1.Event) {
	level := zapcore.InfoLevel
	switch e.Kind {
	case c1.Polled, c1.Heartbeat:
		level = zapcore.DebugLevel
	case c1.Refused, c1.TokenRefused, c1.UploadBroken, c1.TaskRetried, c1.TaskFailed, c1.LeaseExpired:
		level = zapcore.WarnLevel
	default:
	}
	log.Log(level, string(e.Kind),
		zap.String("client", e.Client),
		zap.String("host_id", e.HostID),
		zap.String("task_id", e.TaskID),
		zap.String("detail", e.Detail))
}

// A goal is what ends the process: so many full syncs that went well, or one
// that failed for good.
type goal struct {
	reached chan struct{}

	mu     sync.Mutex
	left   int // the syncs to come; negative if they are not counted
	failed *c1.Event
}

func newGoal(syncs int) *goal {
	g := &goal{reached: make(chan struct{}), left: syncs}
	if syncs == 0 {
		g.left = -1
	}
	return g
}

func (g *goal) see(e c1.Event) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.left <= 0 || g.failed != nil {
		return
	}
	switch e.Kind {
	case c1.TaskFinished:
		g.left--
	case c1.TaskFailed:
		g.failed = &e
	default:
	}
	if g.left == 0 || g.failed != nil {
		close(g.reached)
	}
}

func (g *goal) result() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.failed == nil {
		return nil
	}
	return fmt.Errorf("the full sync %s of the client %q failed for good: %s", g.failed.TaskID, g.failed.Client, g.failed.Detail)
}

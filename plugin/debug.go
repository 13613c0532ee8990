package plugin

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/conductorone/baton-sdk/pkg/field"
	"github.com/conductorone/baton-sdk/pkg/logging"
	goplugin "github.com/hashicorp/go-plugin"
)

// debugFlag makes a person's run a plugin that waits for a host to attach.
const debugFlag = "debug-plugin"

// appPrefix begins the name of every connector; the rest is the app's.
const appPrefix = "baton-"

// explainDebugFlag adds the flag to the SDK's command line, for its --help. Run
// itself has looked for it before.
func explainDebugFlag() {
	if slices.ContainsFunc(field.DefaultFields, func(f field.SchemaField) bool { return f.FieldName == debugFlag }) {
		return
	}
	field.DefaultFields = append(field.DefaultFields, field.BoolField(debugFlag,
		field.WithDescription("Serve as a plugin that baton-host did not start, for a debugger, and print what makes the host attach to it. No other flag goes with it"),
		field.WithPersistent(true), field.WithExportTarget(field.ExportTargetNone)))
}

// debugVariable is the variable that the SDK's command line has for the flag.
const debugVariable = "BATON_DEBUG_PLUGIN"

// wantsDebug reports whether the flag is among the arguments, or set as a variable, and
// whether it is alone.
func wantsDebug(args []string) (isSet, alone bool) {
	isSet, _ = strconv.ParseBool(os.Getenv(debugVariable))
	alone = true
	for _, arg := range args {
		switch arg {
		case "--" + debugFlag, "--" + debugFlag + "=true":
			isSet = true
		default:
			alone = false
		}
	}
	return isSet, alone
}

// serveDebugger serves the contract to any number of hosts, one after the other, until a
// person ends it. Each Configure makes a fresh connector.
func serveDebugger(ctx context.Context, connectorName string, author connectorAuthor, alone bool) {
	if !alone {
		// Which one is not shown: it may be a secret.
		fail("--%s (or %s) goes with no other argument: the configuration comes from the host that attaches", debugFlag, debugVariable)
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	// The second signal ends the process as it would have without the first.
	context.AfterFunc(ctx, stop)

	// No other user may come in: MkdirTemp's directories are the user's own (0700).
	sockets, err := os.MkdirTemp("", "baton-debug-")
	if err != nil {
		fail("a private directory for its socket: %v", err)
	}
	failed := func(what string, err error) {
		_ = os.RemoveAll(sockets)
		fail(what+": %v", err)
	}
	if err := os.Setenv(goplugin.EnvUnixSocketDir, sockets); err != nil {
		failed("the directory of its socket", err)
	}
	ctx, err = logging.Init(ctx, logging.WithLogFormat(logging.LogFormatConsole), logging.WithLogLevel("info"))
	if err != nil {
		failed("the logger", err)
	}

	service := newService(ctx, author)
	service.again = true
	reattach, gone, err := serveAttachable(ctx, service)
	if err != nil {
		failed("its socket", err)
	}
	if err := explainAttach(os.Stdout, connectorName, attachmentOf(reattach)); err != nil {
		stop()
		<-gone
		failed("standard output", err)
	}
	<-gone
	service.release(context.WithoutCancel(ctx))
	_ = os.RemoveAll(sockets)
}

// explainAttach writes what a shell takes, and a person.
func explainAttach(w io.Writer, connectorName string, attachment Attachment) error {
	app := strings.TrimPrefix(connectorName, appPrefix)
	encoded, err := encodeAttachment(app, attachment)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, `export %s='%s'
# %s serves as a plugin (process %d) and waits for a host. Paste the line above
# into the shell in which you start baton-host; it attaches to this process in
# place of starting one. The key %q is the name of the plugin's instance, or of its
# app if one instance alone has it. Ctrl-C ends this process.
`, ReattachEnv, strings.ReplaceAll(encoded, `'`, `'\''`), connectorName, attachment.PID, app)
	return err
}

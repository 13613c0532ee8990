package supervise

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"

	"go.uber.org/zap"

	"github.com/batonhost/baton-host/host/internal/pluginlog"
	"github.com/batonhost/baton-host/host/internal/proc"
	"github.com/batonhost/baton-host/host/internal/proc/sandbox"
)

// Sandbox is what a process may reach.
type Sandbox struct {
	// Mode is empty where the entry does not say; see [Spec.SandboxMode].
	Mode sandbox.Mode
	sandbox.Policy
}

// SandboxMode is whether the process is to be in a sandbox. Where the entry does not say, a
// plugin is, on a system that has one. An unmodified connector is not: who built it knew of
// none, and what it needs is not known.
func (s Spec) SandboxMode() sandbox.Mode {
	switch {
	case s.Sandbox.Mode != "":
		return s.Sandbox.Mode
	case !sandbox.IsOffered:
		return sandbox.Off
	case s.isUnmodified():
		return sandbox.Warn
	default:
		return sandbox.On
	}
}

// Opens reports whether one of the paths is open to the process because its program lies
// beside it.
func (s Spec) Opens(paths []string) bool {
	if s.Attach != nil || s.SandboxMode() != sandbox.On {
		return false
	}
	command := s.command()
	return s.Sandbox.OpensAny(paths, command.Path, command.Args, command.Env)
}

// SandboxState is what of a sandbox the process is in; it is empty where the host does not
// start it.
func (s Spec) SandboxState() sandbox.State {
	active := sandbox.Kernel()
	mode := s.SandboxMode()
	switch {
	case s.Attach != nil:
		return sandbox.State{}
	case !sandbox.IsOffered, mode == sandbox.On && active.Obstacle != "":
		return sandbox.State{Mode: sandbox.Off, Detail: active.Obstacle, Exposes: true}
	case mode == sandbox.On:
		state := sandbox.State{Mode: sandbox.On, Detail: active.String(), Exposes: active.Landlock == 0}
		if path := s.Sandbox.Reveals(); path != "" {
			state.Detail += "; " + fmt.Sprintf("its entry opens %s, in which there are secrets of others", path)
			state.Exposes = true
		}
		return state
	case mode == sandbox.Warn && sandbox.Unobservable() != "":
		return sandbox.State{Mode: sandbox.Off, Detail: "what would be denied cannot be reported: " + sandbox.Unobservable(), Exposes: true}
	case mode == sandbox.Warn:
		return sandbox.State{Mode: sandbox.Warn, Detail: "what would be denied is reported", Exposes: true}
	default:
		return sandbox.State{Mode: sandbox.Off, Exposes: true}
	}
}

// reportSandbox logs what the plugin is not kept from.
func (s Spec) reportSandbox(state sandbox.State, log *zap.Logger) {
	const isOpen = "the plugin is in no sandbox, and can read the secrets of this host and of all plugins"
	switch mode := s.SandboxMode(); {
	case s.Attach != nil:
	case state.Mode == sandbox.On:
		s.reportIncomplete(state, log)
	case mode == sandbox.On:
		log.Warn(isOpen, zap.String("why", state.Detail))
	case !sandbox.IsOffered:
		log.Info(isOpen, zap.String("why", state.Detail))
	case mode == sandbox.Warn:
		log.Info(isOpen, zap.String("why", state.String()))
	default:
		log.Warn(isOpen, zap.String("why", "sandbox: off is in its entry"))
	}
}

// reportIncomplete logs what of a sandbox is missing: by the kernel, which most do not have
// all of it, and by the entry.
func (s Spec) reportIncomplete(state sandbox.State, log *zap.Logger) {
	active := sandbox.Kernel()
	if missing := active.Missing(); len(missing) > 0 {
		level := zap.InfoLevel
		if state.Exposes || len(s.Sandbox.Connect) > 0 && !active.LimitsPorts() {
			level = zap.WarnLevel
		}
		log.Log(level, "the sandbox of the plugin is not complete", zap.String("missing", strings.Join(missing, ", ")))
	}
	for _, path := range slices.Concat(s.Sandbox.Read, s.Sandbox.Write) {
		if _, err := os.Stat(path); err != nil {
			log.Warn("a path of sandbox in the plugin's entry is not there, so it is not open; it is once it is there", zap.Error(err))
		}
	}
}

// enclose puts a process that is about to be started into its sandbox, if it has one, or has
// it observed. socketDir is the directory for its sockets.
func (s Spec) enclose(command *proc.Command, socketDir string, logs *pluginlog.Writer) {
	policy := s.Sandbox.Policy
	switch s.SandboxMode() {
	case sandbox.On:
	case sandbox.Warn:
		policy.Permissive = true
		if why := sandbox.Unobservable(); why != "" {
			if policy.Observer != nil {
				policy.Observer.Blind(why)
			}
			return
		}
		if policy.Observer == nil {
			policy.Observer = newAccessLog(logs)
		}
	default:
		return
	}
	policy.Write = slices.Concat(policy.Write, []string{socketDir})
	if s.ScratchDir != "" {
		policy.Write = append(policy.Write, s.ScratchDir)
	}
	command.Sandbox = &policy
	// In a sandbox it can write nowhere else, so that without this the report of one would
	// name every temporary file. The last value of a variable counts.
	command.Env = append(command.Env, "TMPDIR="+cmp.Or(s.ScratchDir, socketDir))
}

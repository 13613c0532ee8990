package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/batonhost/baton-host/host/config"
	"github.com/batonhost/baton-host/host/config/lock"
	"github.com/batonhost/baton-host/host/internal/fleet"
	"github.com/batonhost/baton-host/host/supervise"
	"github.com/batonhost/baton-host/plugin"
)

// lockOptions are the flags of `baton-host lock`.
type lockOptions struct {
	root       *rootOptions
	configFile string
	check      bool
	output     string
}

func newLockCommand(root *rootOptions) *cobra.Command {
	options := &lockOptions{root: root}
	cmd := &cobra.Command{
		Use:   "lock",
		Short: "Pin the plugins' binaries, or check that they are the pinned ones",
		Long: `Write down what the binaries of a configuration's plugins are (version, protocol
and SHA-256, for this operating system and architecture) in a file beside the
configuration: baton-host.lock for baton-host.yaml. Keep it in version control.

With a lock file, run, sync and check start no plugin that differs from it. The
lock covers the executable and every file among its arguments. What is known of
other platforms stays, unless the version is another. No secret is needed.

--check starts nothing and writes nothing: the exit status is 0 if every plugin is
the locked one.`,
		Example: `  baton-host lock
  baton-host lock --check --config deploy/baton-host.yaml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return options.run(cmd.Context(), cmd.OutOrStdout()) },
	}
	flags := cmd.Flags()
	flags.StringVarP(&options.configFile, "config", "c", defaultConfigFile, "the configuration file")
	flags.BoolVar(&options.check, "check", false, "only say what differs")
	addOutputFlag(cmd, &options.output, outputTable, outputJSON, outputCSV)
	return cmd
}

// platform is the one that this program runs on.
const platform = fleet.Platform

func (o *lockOptions) run(ctx context.Context, stdout io.Writer) error {
	cfg, err := config.Load(ctx, o.configFile, config.WithoutCredentials(), config.WithoutReferences())
	if err != nil {
		return err
	}
	path := lock.PathFor(o.configFile)
	before, err := lock.Read(path)
	if errors.Is(err, os.ErrNotExist) {
		if o.check {
			return fmt.Errorf("there is no lock file %s; write it with: %s", path, acceptCommand(o.configFile))
		}
		before = &lock.File{}
	} else if err != nil {
		return err
	}

	finder := supervise.NewFinder(slices.Concat(o.root.pluginDirs, cfg.PluginDirs))
	now := &lock.File{Plugins: map[string]lock.Plugin{}}
	looked := []lockedPlugin{}
	var failed []error
	for _, one := range cfg.Plugins {
		locked, known := before.Plugins[one.Name]
		found, err := o.look(ctx, finder, one, locked)
		if err != nil {
			failed = append(failed, fmt.Errorf("plugin %q: %w", one.Name, err))
			continue
		}
		now.Plugins[one.Name] = found
		change := changed(locked, found, known)
		looked = append(looked, lockedPlugin{one.Name, found.Version, change})
		if o.check && change != unchanged {
			failed = append(failed, fmt.Errorf("plugin %q differs from %s: %s", one.Name, path, change))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(before.Plugins)) {
		if slices.ContainsFunc(cfg.Plugins, func(p *config.Plugin) bool { return p.Name == name }) {
			continue
		}
		looked = append(looked, lockedPlugin{name, before.Plugins[name].Version, "removed"})
		if o.check {
			failed = append(failed, fmt.Errorf("%s has the plugin %q, which the configuration has not", path, name))
		}
	}
	if err := errors.Join(failed...); err != nil {
		if o.check {
			return fmt.Errorf("%w\nif that is right, accept it with: %s", err, acceptCommand(o.configFile))
		}
		return err
	}
	if err := writeLocked(stdout, o.output, looked); err != nil {
		return fmt.Errorf("the results could not be written to standard output: %w", err)
	}
	if o.check {
		return nil
	}
	_, err = now.Write(path)
	return err
}

// lockedPlugin is what became of one plugin's entry.
type lockedPlugin struct {
	Plugin  string `json:"plugin"`
	Version string `json:"version"`
	Result  string `json:"result"`
}

func writeLocked(stdout io.Writer, output string, looked []lockedPlugin) error {
	result := listing{columns: []string{"plugin", "version", "result"}, value: looked}
	for _, one := range looked {
		result.rows = append(result.rows, []string{one.Plugin, one.Version, one.Result})
	}
	return result.write(stdout, output)
}

// look is what a plugin is now, with what is locked of other platforms. To check
// starts nothing: what has the locked sums has the locked version.
func (o *lockOptions) look(ctx context.Context, finder *supervise.Finder, one *config.Plugin, locked lock.Plugin) (lock.Plugin, error) {
	path := one.Path
	if path == "" {
		found, err := finder.Find(one.App)
		if err != nil {
			return lock.Plugin{}, err
		}
		path = found
	}
	pin, err := supervise.Measure(path, one.Args)
	if err != nil {
		return lock.Plugin{}, fmt.Errorf("%s cannot be locked: %w", path, err)
	}
	sums := lock.Sums{Executable: pin.Executable, Files: named(o.configFile, pin.Files)}
	if o.check || locked.Platforms[platform].Equal(sums) {
		return lock.Plugin{Version: locked.Version, Protocol: locked.Protocol, Platforms: withPlatform(locked.Platforms, sums)}, nil
	}

	pin.Source, pin.Accept = "what was measured a moment ago", acceptCommand(o.configFile)
	process, err := supervise.Start(ctx, supervise.Spec{
		Instance: one.Name, Path: path, Args: one.Args, Unmodified: one.Unmodified, Env: one.Env, StartTimeout: one.StartTimeout, Pin: pin,
	})
	if err != nil {
		return lock.Plugin{}, err
	}
	defer process.Stop(context.WithoutCancel(ctx))
	manifest, err := process.Describe(ctx)
	if err != nil {
		return lock.Plugin{}, err
	}
	others := locked.Platforms
	if locked.Version != manifest.GetVersion() {
		others = nil // They are of another release.
	}
	return lock.Plugin{Version: manifest.GetVersion(), Protocol: plugin.ProtocolVersion, Platforms: withPlatform(others, sums)}, nil
}

func withPlatform(others map[string]lock.Sums, sums lock.Sums) map[string]lock.Sums {
	all := map[string]lock.Sums{}
	maps.Copy(all, others)
	all[platform] = sums
	return all
}

const unchanged = "unchanged"

// changed says in words what is different.
func changed(before, now lock.Plugin, known bool) string {
	locked, here := before.Platforms[platform]
	switch sums := now.Platforms[platform]; {
	case !known:
		return "new"
	case !here:
		return "new for " + platform
	case locked.Executable != sums.Executable:
		return fmt.Sprintf("the executable was %s and is %s", locked.Executable, sums.Executable)
	case !locked.Equal(sums):
		return "the files among its arguments are others"
	default:
		return unchanged
	}
}

// named are sums by the names that the lock file has for files: relative to the
// configuration where they are below it.
func named(configFile string, files map[string]string) map[string]string {
	names := map[string]string{}
	for arg, sum := range files {
		names[fleet.LockName(configFile, arg)] = sum
	}
	return names
}

func acceptCommand(configFile string) string {
	if configFile == defaultConfigFile {
		return "baton-host lock"
	}
	return "baton-host lock --config " + configFile
}

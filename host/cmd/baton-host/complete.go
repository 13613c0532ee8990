package main

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/batonhost/baton-host/host"
	"github.com/batonhost/baton-host/host/internal/call"
	"github.com/batonhost/baton-host/host/internal/population"
)

// completer offers what fits at the cursor of a person's shell. It starts nothing,
// resolves no reference, and where it does not know it offers nothing.
type completer = func(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective)

// perArgument offers for each argument what its own completer does.
func perArgument(completers ...completer) completer {
	return func(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) >= len(completers) {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return beginning(completers[len(args)])(cmd, args, begun)
	}
}

// beginning leaves away what does not go on with what has been typed. Not every
// shell does that by itself.
func beginning(complete completer) completer {
	return func(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
		offered, directive := complete(cmd, args, begun)
		if directive&cobra.ShellCompDirectiveFilterFileExt != 0 {
			return offered, directive // They are endings.
		}
		return slices.DeleteFunc(slices.Clone(offered), func(one cobra.Completion) bool { return !strings.HasPrefix(one, begun) }), directive
	}
}

// filesOf offers files with these endings, and directories on the way to them.
func filesOf(endings ...string) completer {
	return cobra.FixedCompletions(endings, cobra.ShellCompDirectiveFilterFileExt)
}

var syncFiles = filesOf("c1z")

// plugins offers what a command that is about one plugin takes: instances of the
// configuration, apps, and the paths of binaries.
func (o *rootOptions) plugins(cmd *cobra.Command, _ []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if strings.ContainsRune(begun, filepath.Separator) {
		return nil, cobra.ShellCompDirectiveDefault
	}
	names := host.FindNames(cmd.Context(), configOf(cmd), host.Options{PluginDirs: o.pluginDirs})
	var offered []cobra.Completion
	for _, plugin := range names.Plugins {
		offered = append(offered, cobra.CompletionWithDesc(plugin, "in "+names.ConfigFile))
	}
	return withoutRepeats(append(offered, appsOf(names)...)), cobra.ShellCompDirectiveNoFileComp
}

// apps offers the apps that there are plugin binaries for.
func (o *rootOptions) apps(cmd *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return appsOf(host.FindNames(cmd.Context(), "", host.Options{PluginDirs: o.pluginDirs})), cobra.ShellCompDirectiveNoFileComp
}

func appsOf(names host.Names) []cobra.Completion {
	var offered []cobra.Completion
	for _, program := range names.Programs {
		offered = append(offered, cobra.CompletionWithDesc(program.App, program.Path))
	}
	return offered
}

// uploads offers the uploads of the configuration.
func uploads(cmd *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return host.FindNames(cmd.Context(), configOf(cmd), host.Options{}).Uploads, cobra.ShellCompDirectiveNoFileComp
}

// instances offers the plugins of the configuration.
func instances(cmd *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return host.FindNames(cmd.Context(), configOf(cmd), host.Options{}).Plugins, cobra.ShellCompDirectiveNoFileComp
}

// installable offers the plugins of the configuration that can be installed.
func installable(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	names := host.FindNames(cmd.Context(), configOf(cmd), host.Options{}).Installable
	return slices.DeleteFunc(names, func(name string) bool { return slices.Contains(args, name) }), cobra.ShellCompDirectiveNoFileComp
}

// methods offers the methods of a plugin, with their services and without.
func methods(_ *cobra.Command, _ []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
	var offered []cobra.Completion
	for _, method := range call.Methods() {
		if byHand(method) != nil {
			continue
		}
		if strings.Contains(begun, "/") {
			offered = append(offered, method.String())
		} else {
			offered = append(offered, cobra.CompletionWithDesc(method.Name, method.Service))
		}
	}
	return withoutRepeats(offered), cobra.ShellCompDirectiveNoFileComp
}

// configOf returns the path of the configuration that the command line so far is about.
func configOf(cmd *cobra.Command) string {
	if flag := cmd.Flags().Lookup("config"); flag != nil && flag.Changed {
		return flag.Value.String()
	}
	return host.DefaultConfigFile
}

// withoutRepeats keeps the first of completions with the same name.
func withoutRepeats(offered []cobra.Completion) []cobra.Completion {
	seen := map[string]bool{}
	return slices.DeleteFunc(offered, func(one cobra.Completion) bool {
		name, _, _ := strings.Cut(one, "\t")
		repeated := seen[name]
		seen[name] = true
		return repeated
	})
}

// completeFlags gives flags of the same name the same completion in every command.
func completeFlags(cmd *cobra.Command, root *rootOptions) {
	known := map[string]completer{
		"config":           filesOf("yaml", "yml"),
		"file":             syncFiles,
		"from":             filesOf("gz", "zip"),
		"platform":         cobra.FixedCompletions([]string{"linux/amd64", "linux/arm64", "darwin/amd64", "darwin/arm64", "windows/amd64"}, cobra.ShellCompDirectiveNoFileComp),
		"compare":          filesOf("csv", "tsv", "txt"),
		"by":               cobra.FixedCompletions(population.Attributes, cobra.ShellCompDirectiveNoFileComp),
		"plugin":           root.apps,
		"upload":           uploads,
		"accept-deletions": instances,
		"log-level":        cobra.FixedCompletions([]string{"debug", "info", "warn", "error"}, cobra.ShellCompDirectiveNoFileComp),
		"log-format":       cobra.FixedCompletions([]string{"console", "json"}, cobra.ShellCompDirectiveNoFileComp),
	}
	for _, flag := range []string{"plugin-dir", "output-dir", "state-dir", "dir", "host-source"} {
		known[flag] = cobra.FixedCompletions(nil, cobra.ShellCompDirectiveFilterDirs)
	}
	for _, flag := range []string{"timeout", "retry-for", "grace", "stall-timeout", "listen", "module", "port", "name", "set", "client-id", "client-secret", "app", "for", "version", "image"} {
		known[flag] = cobra.NoFileCompletions
	}
	for name, complete := range known {
		if flag := cmd.Flag(name); flag != nil {
			// Persistent flags come by again and again; that is no error.
			_ = cmd.RegisterFlagCompletionFunc(name, beginning(complete))
		}
	}
	for _, child := range cmd.Commands() {
		completeFlags(child, root)
	}
}

// completionExamples are how the completion is installed for each shell, once and
// for this user.
var completionExamples = map[string]string{
	"bash":       "  baton-host completion bash > ~/.local/share/bash-completion/completions/baton-host",
	"zsh":        "  baton-host completion zsh > \"${fpath[1]}/_baton-host\"",
	"fish":       "  baton-host completion fish > ~/.config/fish/completions/baton-host.fish",
	"powershell": "  baton-host completion powershell | Out-String | Invoke-Expression",
}

// describeCompletion gives cobra's own command examples.
func describeCompletion(root *cobra.Command) {
	root.CompletionOptions.SetDefaultShellCompDirective(cobra.ShellCompDirectiveNoFileComp)
	root.InitDefaultCompletionCmd()
	root.InitDefaultHelpCmd()
	for _, cmd := range root.Commands() {
		switch cmd.Name() {
		case "help":
			cmd.Example = "  baton-host help sync"
			cmd.PreRunE = func(_ *cobra.Command, args []string) error {
				if found, unknown, _ := root.Find(args); len(unknown) > 0 {
					return unknownCommand(found, unknown[0])
				}
				return nil
			}
		case "completion":
			cmd.Short = "Write the completion of the command line for a shell"
			cmd.Example = "  source <(baton-host completion bash)"
			cmd.Args, cmd.RunE = cobra.ArbitraryArgs, helpOrUnknown
			for _, shell := range cmd.Commands() {
				shell.Example = completionExamples[shell.Name()]
			}
		}
	}
}

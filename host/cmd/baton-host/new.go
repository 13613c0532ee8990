package main

import (
	"fmt"
	"io"
	"regexp"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/batonhost/baton-host/host/internal/scaffold"
)

func newNewCommand() *cobra.Command {
	var request scaffold.Request
	cmd := &cobra.Command{
		Use:   "new APP",
		Short: "Write the module of a new connector, complete and tested",
		Long: `Write the module of a new connector: main, configuration, users, a conformance test,
Makefile and README. It compiles and its tests pass as it is; what is special about
the app is for its author.

Without --scim the connector reads users page by page from a small JSON API, which
its test brings along. With --scim it is a connector of an app that serves SCIM 2.0.

What is there already is never written over.`,
		Example: `  baton-host new design-tool --scim
  baton-host new payroll --module github.com/acme/baton-payroll --dir connectors/payroll`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			request.App = args[0]
			request.HostVersion = release()
			written, err := scaffold.Write(request)
			if err != nil {
				return err
			}
			return writeNextSteps(cmd.OutOrStdout(), request.App, written)
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&request.SCIM, "scim", false, "the app serves SCIM 2.0")
	flags.StringVar(&request.Module, "module", "", "the path of the module (default example.com/baton-APP)")
	flags.StringVar(&request.Dir, "dir", "", "where it goes; made if it does not exist (default baton-APP)")
	flags.StringVar(&request.HostSource, "host-source", "", "use this checkout of baton-host instead of its release")
	return cmd
}

// released are versions that a module can require, not those that git describes
// between two of them.
var released = regexp.MustCompile(`^v\d+\.\d+\.\d+(-(alpha|beta|rc)[.\d]*)?$`)

// release returns the version of this host's module, or "" for a development build.
func release() string {
	if released.MatchString(version) {
		return version
	}
	// What was installed with the go command knows it from there.
	if info, ok := debug.ReadBuildInfo(); ok && released.MatchString(info.Main.Version) {
		return info.Main.Version
	}
	return ""
}

func writeNextSteps(w io.Writer, app string, written *scaffold.Result) error {
	_, err := fmt.Fprintf(w, `%[2]s holds the connector of %[1]s, module %[3]s. Next:

  cd %[2]s
  make test     # its conformance test; the first time it looks up what it needs
  make build
  baton-host inspect %[1]s --plugin-dir bin

Its README.md explains how to go on.
`, app, written.Dir, written.Module)
	return err
}

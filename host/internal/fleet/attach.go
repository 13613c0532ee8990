package fleet

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/batonhost/baton-host/host/internal/config"
	"github.com/batonhost/baton-host/host/internal/supervise"
	"github.com/batonhost/baton-host/plugin"
)

// Attach marks the plugins that run already, in a debugger, and are attached to instead
// of started: value is that of BATON_HOST_REATTACH. A name there is that of an instance,
// else that of an app that one instance alone has. Those of other plugins of the
// configuration, if there is one, are left alone. It returns a warning for each plugin
// that is attached to.
func Attach(value string, cfg *config.Config, plugins []*Plugin) (warnings []string, err error) {
	attachments, err := supervise.Attachments(value)
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(attachments)) {
		found, err := meant(name, plugins)
		if err != nil {
			return nil, err
		}
		if found == nil {
			if elsewhere(name, cfg) {
				continue
			}
			return nil, fmt.Errorf("%s names the plugin %q, which is not one of %s; give it the name of an instance or an app, or unset the variable",
				plugin.ReattachEnv, name, strings.Join(names(plugins), ", "))
		}
		attachment := attachments[name]
		found.attach = &attachment
		// Loudly, as this is no way to run in production.
		warnings = append(warnings, fmt.Sprintf("plugin %q is attached to (process %d), not started (%s): it is not verified, not limited and not started again; for development only",
			found.Name, attachment.PID, plugin.ReattachEnv))
	}
	return warnings, nil
}

func names(plugins []*Plugin) []string {
	all := make([]string, 0, len(plugins))
	for _, one := range plugins {
		all = append(all, one.Name)
	}
	return all
}

// meant is the plugin of that instance name or else of that app, nil if there is none.
func meant(name string, plugins []*Plugin) (*Plugin, error) {
	var found *Plugin
	for _, one := range plugins {
		switch {
		case one.Name == name:
			return one, nil
		case !isApp(name, one.App):
		case found != nil:
			return nil, fmt.Errorf("%s names the app %q, which %s and %s have; write the name of the one that is meant in its place",
				plugin.ReattachEnv, name, found.Name, one.Name)
		default:
			found = one
		}
	}
	return found, nil
}

// elsewhere says that the configuration has such a plugin, which this command does
// not need.
func elsewhere(name string, cfg *config.Config) bool {
	return cfg != nil && slices.ContainsFunc(cfg.Plugins, func(one *config.Plugin) bool {
		return one.Name == name || isApp(name, one.App)
	})
}

// isApp says that a name is that of an app, or of its binary.
func isApp(name, app string) bool { return name == app || name == "baton-"+app }

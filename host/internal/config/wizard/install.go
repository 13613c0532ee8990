package wizard

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/batonhost/baton-host/host/internal/config"
)

// Probe is a configuration on the disk, under a name that nothing reads, with the plugin of a
// request and its version or image: for installing the connector that the wizard asks of what
// it takes. Remove must be called.
type Probe struct {
	// Path is that of the configuration, and Instance the plugin's name in it.
	Path, Instance string

	out *output
}

// probeInstance is the name of the plugin in a probe where the app's is taken.
const probeInstance = "plugin-that-is-added"

// NewProbe writes a probe for a request. It has what the existing configuration says of where
// connectors are from and whose are trusted.
func NewProbe(request Request) (*Probe, error) {
	entry := mapping()
	put(entry, config.NameApp, scalar(request.App))
	putRelease(entry, request)
	instance := request.App
	if request.Existing.checkNew(instance) != nil {
		instance = probeInstance
	}
	content, err := probeContent(request.Existing, instance, entry)
	if err != nil {
		return nil, err
	}
	out := &output{dir: request.Dir}
	path, err := out.draft(content)
	if err != nil {
		out.remove()
		return nil, fmt.Errorf("nothing can be written into %s, where the configuration is to be: %w", request.Dir, err)
	}
	return &Probe{Path: path, Instance: instance, out: out}, nil
}

func probeContent(existing *Existing, instance string, entry *yaml.Node) ([]byte, error) {
	if existing != nil {
		e, err := newEditor(existing.content)
		if err == nil {
			err = e.addTo(e.root, config.NamePlugins, instance, entry)
		}
		if err != nil {
			return nil, err
		}
		return e.result()
	}
	root, plugins := mapping(), mapping()
	put(plugins, instance, entry)
	put(root, config.NamePlugins, plugins)
	var text bytes.Buffer
	encoder := yaml.NewEncoder(&text)
	err := errors.Join(encoder.Encode(root), encoder.Close())
	return text.Bytes(), err
}

// Remove removes the probe.
func (p *Probe) Remove() { p.out.remove() }

// putRelease puts what is installed into an entry.
func putRelease(entry *yaml.Node, request Request) {
	if request.Version != "" {
		put(entry, config.NameVersion, scalar(request.Version))
	}
	if request.Image != "" {
		put(entry, config.NameImage, scalar(request.Image))
	}
}

// AskRelease asks which release or image of an app's connector is to be installed. Both are
// empty where none is.
func AskRelease(d Dialogue, app string) (version, image string, err error) {
	d.Say(fmt.Sprintf("\nThere is no connector baton-%s on this machine. It can be installed: a release, by its version (such as v0.2.41), or an image (such as public.ecr.aws/conductorone/baton-%s:v0.2.41).", app, app))
	answer, err := d.Ask("Version or image (Enter installs none): ")
	if errors.Is(err, io.EOF) {
		err = ErrEnded
	}
	if strings.Contains(answer, "/") {
		return "", answer, err
	}
	return answer, "", err
}

// askOtherApp asks for an app whose connector is not on this machine.
func (a *asker) askOtherApp() (string, error) {
	for {
		app, err := a.askOr("App, as its connector baton-<app> is called", "")
		if err != nil {
			return "", err
		}
		app = strings.TrimPrefix(app, "baton-")
		if err := checkName("app", app); err != nil {
			a.d.Say(err.Error())
			continue
		}
		return app, nil
	}
}

package wizard

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/batonhost/baton-host/host/internal/config"
	"github.com/batonhost/baton-host/host/internal/secret"
	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// Dialogue is a person at a terminal.
type Dialogue interface {
	// Say shows a text, which may have several lines.
	Say(text string)
	// Ask shows a prompt and returns the line that is typed, without spaces around
	// it. The error is [io.EOF] where nothing more will be typed.
	Ask(prompt string) (string, error)
	// AskSecret is Ask for what must not be seen.
	AskSecret(prompt string) (string, error)
}

// ErrEnded says that nothing more is typed and not everything was answered.
var ErrEnded = errors.New("the input ended before everything was answered; nothing was written")

// Ask asks for what the request leaves open. Each answer is checked at once. What was
// given is not asked for again.
func Ask(d Dialogue, request Request) (*Plan, error) {
	plan := &Plan{request: request}
	if err := errors.Join(plan.checkGiven(), plan.takeGiven()); err != nil {
		return nil, err
	}
	a := &asker{d: d, plan: plan, settled: map[string]bool{}}
	err := a.run()
	if errors.Is(err, io.EOF) {
		err = ErrEnded
	}
	return plan, err
}

type asker struct {
	d    Dialogue
	plan *Plan
	// settled are the fields that have been asked for, or need not be.
	settled map[string]bool
}

func (a *asker) run() error {
	request := &a.plan.request
	if err := a.askName(&request.Instance, request.App, "instance name",
		"The name of this plugin in the configuration. It becomes part of the id of every account, and cannot change later."); err != nil {
		return err
	}
	if err := a.askFields(); err != nil {
		return err
	}
	if request.Existing != nil {
		if err := a.askUpload(); err != nil || request.Existing.isThere(request.Upload) {
			return err
		}
		return a.askCredentials()
	}
	if err := a.askName(&request.Upload, usualUpload, "upload name",
		"The name of the upload: it names the sync file, and the log calls it so."); err != nil {
		return err
	}
	return a.askCredentials()
}

func (a *asker) askName(into *string, usual, what, why string) error {
	if *into != "" {
		return nil
	}
	a.d.Say("\n" + why)
	for {
		name, err := a.askOr(strings.ToUpper(what[:1])+what[1:], usual)
		if err != nil {
			return err
		}
		err = checkName(what, name)
		if err == nil && into == &a.plan.request.Instance {
			err = a.plan.request.Existing.checkNew(name)
		}
		if err != nil {
			a.d.Say(err.Error())
			continue
		}
		*into = name
		return nil
	}
}

// askOr asks for a line; an empty one is the usual answer.
func (a *asker) askOr(prompt, usual string) (string, error) {
	if usual != "" {
		prompt += " [" + usual + "]"
	}
	answer, err := a.d.Ask(prompt + ": ")
	if err != nil {
		return "", err
	}
	if answer == "" {
		return usual, nil
	}
	return answer, nil
}

// askYes asks a question that has two answers.
func (a *asker) askYes(question string, usual bool) (bool, error) {
	choices := map[bool]string{true: "Y/n", false: "y/N"}[usual]
	for {
		answer, err := a.d.Ask(question + " [" + choices + "]: ")
		if err != nil {
			return false, err
		}
		switch strings.ToLower(answer) {
		case "":
			return usual, nil
		case "y", "yes", "true":
			return true, nil
		case "n", "no", "false":
			return false, nil
		}
		a.d.Say("Answer y for yes or n for no.")
	}
}

// choice is one of several answers.
type choice struct{ value, label string }

// askChoice asks for one of several answers, by its number or its value. usual is the
// value that an empty line means.
func (a *asker) askChoice(choices []choice, usual string) (string, error) {
	shown := ""
	for i, one := range choices {
		a.d.Say(fmt.Sprintf("  %d) %s", i+1, one.label))
		if one.value == usual {
			shown = strconv.Itoa(i + 1)
		}
	}
	for {
		answer, err := a.askOr("Choose", shown)
		if err != nil {
			return "", err
		}
		if number, err := strconv.Atoi(answer); err == nil && number >= 1 && number <= len(choices) {
			return choices[number-1].value, nil
		}
		if at := slices.IndexFunc(choices, func(one choice) bool { return one.value == answer }); at >= 0 && answer != "" {
			return choices[at].value, nil
		}
		a.d.Say(fmt.Sprintf("Answer with a number from 1 to %d.", len(choices)))
	}
}

// authMethod is the field whose value chooses among field groups.
const authMethod = "auth-method"

// askFields asks for the fields that must be given and those of which one must be, for
// the others if the person wants to see them, and again for those that belong together
// until they do.
func (a *asker) askFields() error {
	applies, err := a.chosenGroup()
	if err != nil {
		return err
	}
	var needed, others, tied []*pluginv1.Field
	for _, one := range a.plan.request.Manifest.GetConfiguration().GetFields() {
		_, given := a.plan.request.Fields[one.GetName()]
		if given || one.GetHidden() || !applies(one.GetName()) {
			a.settled[one.GetName()] = true
			continue
		}
		if a.related(one) {
			tied = append(tied, one)
		}
		if one.GetRequired() || a.alternative(one) {
			needed = append(needed, one)
		} else {
			others = append(others, one)
		}
	}
	if err := a.askEach(needed); err != nil {
		return err
	}
	if wanted, err := a.wantsOthers(others); err != nil {
		return err
	} else if wanted {
		if err := a.askEach(others); err != nil {
			return err
		}
	}
	for {
		a.sort()
		err := a.plan.together()
		if err == nil {
			return nil
		}
		a.d.Say("\n" + err.Error())
		if len(tied) == 0 {
			return errors.New("the fields of this plugin cannot be filled in here; write the configuration by hand")
		}
		for _, one := range tied {
			a.plan.clear(one.GetName())
			delete(a.settled, one.GetName())
		}
		if err := a.askEach(tied); err != nil {
			return err
		}
	}
}

// askEach asks for one field after the other, but for those that what has been answered
// leaves no room for.
func (a *asker) askEach(fields []*pluginv1.Field) error {
	for _, one := range fields {
		if !a.excluded(one) {
			if err := a.askField(one); err != nil {
				return err
			}
		}
		a.settled[one.GetName()] = true
	}
	return nil
}

// wantsOthers asks whether to go through the fields that can be left out.
func (a *asker) wantsOthers(others []*pluginv1.Field) (bool, error) {
	var names []string
	for _, one := range others {
		names = append(names, one.GetName())
	}
	if len(names) == 0 {
		return false, nil
	}
	a.d.Say(fmt.Sprintf("\n%s has more fields, which can be left out: %s.", a.plan.request.App, strings.Join(names, ", ")))
	return a.askYes("Go through them?", false)
}

// chosenGroup says which fields apply: with field groups, those of the group that the
// person chooses.
func (a *asker) chosenGroup() (applies func(field string) bool, err error) {
	groups := a.plan.request.Manifest.GetConfiguration().GetFieldGroups()
	if len(groups) == 0 {
		return func(string) bool { return true }, nil
	}
	group, err := a.askGroup(groups)
	if err != nil {
		return nil, err
	}
	return func(field string) bool { return field != authMethod && slices.Contains(group.GetFields(), field) }, nil
}

// askGroup asks which of several sets of fields it is to be.
func (a *asker) askGroup(groups []*pluginv1.FieldGroup) (*pluginv1.FieldGroup, error) {
	usual := groupNamed(groups, "")
	var choices []choice
	for _, group := range groups {
		label := group.GetName()
		if group.GetLabel() != "" {
			label = group.GetLabel()
		}
		if group.GetHelp() != "" {
			label += ": " + group.GetHelp()
		}
		choices = append(choices, choice{group.GetName(), label})
	}
	chosen := a.plan.request.Fields[authMethod]
	if chosen == "" {
		a.d.Say(fmt.Sprintf("\nHow is %s to be signed in to?", a.plan.request.App))
		var err error
		if chosen, err = a.askChoice(choices, usual.GetName()); err != nil {
			return nil, err
		}
		a.plan.set(authMethod, scalar(chosen))
	}
	return groupNamed(groups, chosen), nil
}

// groupNamed is the group of that name, else the one that applies where none is chosen.
func groupNamed(groups []*pluginv1.FieldGroup, name string) *pluginv1.FieldGroup {
	usual := groups[0]
	for _, group := range groups {
		if group.GetName() == name {
			return group
		}
		if group.GetIsDefault() {
			usual = group
		}
	}
	return usual
}

// set gives a field that has none its value.
func (p *Plan) set(name string, value *yaml.Node) {
	p.fields = append(p.fields, field{name, value})
}

// clear takes a field's value away; of one that was asked for again nothing stays.
func (p *Plan) clear(name string) {
	p.fields = slices.DeleteFunc(p.fields, func(one field) bool { return one.name == name })
	p.secrets = slices.DeleteFunc(p.secrets, func(one secretFile) bool { return one.field == name })
}

// sort puts the fields into the order of the schema.
func (a *asker) sort() {
	order := map[string]int{}
	for i, one := range a.plan.request.Manifest.GetConfiguration().GetFields() {
		order[one.GetName()] = i
	}
	slices.SortStableFunc(a.plan.fields, func(x, y field) int { return order[x.name] - order[y.name] })
}

// clientSecretField is what a typed client secret is kept for. No field of a plugin can
// have such a name.
const clientSecretField = "upload's client-secret"

// checkClientID checks a client id, or what a variable holds that it refers to.
func (a *asker) checkClientID(id string) error {
	if !refers(id) {
		return config.CheckClientID(id)
	}
	variables, _, err := secret.References(id)
	if err != nil || len(variables) != 1 || !isReference(id) {
		return err
	}
	if value, set := a.plan.request.Lookup(variables[0]); set && value != "" {
		return config.CheckClientID(value)
	}
	return nil
}

// askCredentials asks for the upload's credentials at C1.
func (a *asker) askCredentials() error {
	request := &a.plan.request
	if request.ClientID != "" {
		return nil
	}
	a.d.Say("\nTo upload to ConductorOne (C1), `baton-host run` needs the client id and the secret of a connector there.\n" +
		"Without them in the file it takes BATON_CLIENT_ID and BATON_CLIENT_SECRET from its environment.")
	for {
		id, err := a.d.Ask("Client id (Enter leaves it out of the file): ")
		if err != nil || id == "" {
			return err
		}
		if err := a.checkClientID(id); err != nil {
			a.d.Say(err.Error())
			continue
		}
		request.ClientID = id
		break
	}
	reference, err := a.askSecret(question{
		name: clientSecretField, label: "Client secret", file: request.Upload + "-client-secret", variable: clientSecretVariable,
		check: config.CheckClientSecret,
	})
	if err != nil {
		return err
	}
	request.ClientSecret = reference
	return nil
}

// AskApp asks for one of the apps that there are plugins for, or for another one, whose
// connector is installed first.
func AskApp(d Dialogue, apps []string) (string, error) {
	a := &asker{d: d}
	d.Say("Which app is it about?")
	const other = ""
	app := other
	var err error
	if len(apps) > 0 {
		var choices []choice
		for _, app := range apps {
			choices = append(choices, choice{app, app})
		}
		usual := "none"
		if len(apps) == 1 {
			usual = apps[0]
		}
		app, err = a.askChoice(append(choices, choice{other, "another one: its connector is installed first"}), usual)
	}
	if err == nil && app == other {
		app, err = a.askOtherApp()
	}
	if errors.Is(err, io.EOF) {
		err = ErrEnded
	}
	return app, err
}

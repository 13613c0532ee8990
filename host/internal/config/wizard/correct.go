package wizard

import (
	"errors"
	"io"
	"slices"

	"github.com/batonhost/baton-host/host/internal/errtext"
	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// ErrStopped says that the person has stopped where something was wrong.
var ErrStopped = errors.New("stopped; nothing was written")

// objectionError is what is wrong with the answers as a whole.
type objectionError struct {
	field   string // that it is about; empty: none, or several
	message string
}

func (e *objectionError) Error() string { return e.message }

// Objection returns why a draft does not work in the words for a person, who knows of no
// draft.
func Objection(err error) error {
	if refused, ok := errors.AsType[*RefusedError](err); ok {
		err = refused.Err
	}
	return inWords(err)
}

// What a person can do about answers that something is wrong with.
const (
	doCorrect = "correct"
	doKeep    = "keep"
	doStop    = "stop"
)

// AskAbout shows what is wrong with the plan and asks what to do about it. Afterwards an
// answer is another one, or the plan is to be written nevertheless, if it may be. The error
// is [ErrStopped] if the person likes neither.
func (p *Plan) AskAbout(d Dialogue, objection error, mayKeep bool) (keep bool, err error) {
	a := &asker{d: d, plan: p, settled: map[string]bool{}}
	keep, err = a.askAbout(Objection(objection), mayKeep)
	if errors.Is(err, io.EOF) {
		err = ErrEnded
	}
	return keep, err
}

func (a *asker) askAbout(objection error, mayKeep bool) (keep bool, err error) {
	fields := a.correctable(objection)
	for {
		a.d.Say("\nThis does not work yet:\n" + errtext.Plain(objection.Error()))
		var choices []choice
		if len(fields) > 0 || a.plan.request.ClientID != "" {
			choices = append(choices, choice{doCorrect, "correct an answer"})
		}
		if mayKeep {
			choices = append(choices, choice{doKeep, "write the file nevertheless"})
		}
		choices = append(choices, choice{doStop, "stop, and write nothing"})
		what, err := a.askChoice(choices, choices[0].value)
		switch {
		case err != nil:
			return false, err
		case what == doKeep:
			return true, nil
		case what == doStop:
			return false, ErrStopped
		}
		if err := a.correct(fields); err != nil {
			return false, err
		}
		if objection = a.plan.together(); objection == nil {
			return false, nil
		}
		mayKeep = false // The host would not take it.
	}
}

// atC1 is the answer that is no field: the upload's credentials.
const atC1 = "C1"

// correct asks for one of the fields again, or for the upload's credentials.
func (a *asker) correct(fields []*pluginv1.Field) error {
	var choices []choice
	for _, one := range fields {
		label := one.GetName()
		if value := a.answer(one.GetName()); value != "" {
			label += " (now " + value + ")"
		}
		choices = append(choices, choice{one.GetName(), label})
	}
	if a.plan.request.ClientID != "" {
		choices = append(choices, choice{atC1, "the client id and secret at C1"})
	}
	name := choices[0].value
	if len(choices) > 1 {
		a.d.Say("Which one?")
		var err error
		if name, err = a.askChoice(choices, name); err != nil {
			return err
		}
	}
	if name == atC1 {
		a.plan.request.ClientID, a.plan.request.ClientSecret = "", ""
		a.plan.clear(clientSecretField)
		return a.askCredentials()
	}
	at := slices.IndexFunc(fields, func(one *pluginv1.Field) bool { return one.GetName() == name })
	err := a.askField(fields[at])
	a.sort()
	return err
}

// answer is what was answered, on one line; empty where that is nothing or several texts.
func (a *asker) answer(name string) string {
	for _, one := range a.plan.fields {
		if one.name == name {
			return one.value.Value // A secret's is the reference.
		}
	}
	return ""
}

// correctable are the fields that can be asked for again: first those that something is
// wrong with, then those that were answered.
func (a *asker) correctable(objection error) (fields []*pluginv1.Field) {
	schema := a.plan.request.Manifest.GetConfiguration()
	applies := func(string) bool { return true }
	if len(schema.GetFieldGroups()) > 0 {
		group := groupNamed(schema.GetFieldGroups(), a.answer(authMethod))
		applies = func(field string) bool { return field != authMethod && slices.Contains(group.GetFields(), field) }
	}
	rank := func(one *pluginv1.Field) int {
		switch {
		case isAbout(objection, one.GetName()):
			return 0
		case a.answered(one.GetName()):
			return 1
		}
		return 2
	}
	for _, one := range schema.GetFields() {
		if applies(one.GetName()) && (!one.GetHidden() || rank(one) < 2) {
			fields = append(fields, one)
		}
	}
	slices.SortStableFunc(fields, func(x, y *pluginv1.Field) int { return rank(x) - rank(y) })
	return fields
}

// isAbout reports whether an error, or one that it joins, is about a field.
func isAbout(err error, field string) bool {
	switch err := err.(type) { //nolint:errorlint // Each error of a tree is looked at.
	case *objectionError:
		return err.field == field
	case interface{ Unwrap() []error }:
		return slices.ContainsFunc(err.Unwrap(), func(one error) bool { return isAbout(one, field) })
	}
	return false
}

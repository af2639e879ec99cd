package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"aerie/cmd/aerie-fleet/enrolment"
	"aerie/cmd/aerie-fleet/rollout"
	"aerie/cmd/aerie-fleet/service"
	"aerie/receiver/fleet/content"
)

// devices lists devices.
func devices(args []string, out io.Writer) error {
	f, open := clientFlags("devices")
	status := f.String("status", "", "only trouble, offline, unpaired, updating or good")
	sort := f.String("sort", "", "name, version, temperature, seen or id instead of state")
	asJSON := f.Bool("json", false, "print JSON")
	if err := f.Parse(args); err != nil {
		return err
	}
	c, err := open()
	if err != nil {
		return err
	}
	all := []service.Row{}
	for total := 1; len(all) < total; {
		q := url.Values{"search": {strings.Join(f.Args(), " ")}, "status": {*status}, "sort": {*sort}, "offset": {strconv.Itoa(len(all))}}
		var p service.Page
		if err := c.ask(http.MethodGet, "/api/devices?"+q.Encode(), nil, &p); err != nil {
			return err
		}
		total = p.Matched
		if all = append(all, p.Rows...); len(p.Rows) == 0 {
			break
		}
	}
	if *asJSON {
		return printJSON(out, all)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "DEVICE\tNAME\tSTATE\tVERSION\tROLLOUT\tUP\tSEEN\t")
	for _, d := range all {
		up := (time.Duration(d.Health.Uptime) * time.Second).Round(time.Second)
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%v\t%s\t%s\n", d.ID, plain(d.Health.Name), d.Status, plain(d.Health.Version), d.Progress, up, d.Seen.Format(time.DateTime), plain(d.Why))
	}
	return w.Flush()
}

// plain keeps what devices say from changing the terminal.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return '?'
		}
		return r
	}, s)
}

func printJSON(out io.Writer, v any) error {
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// device shows one device or does something with it.
func device(args []string, out io.Writer) error {
	f, open := clientFlags("device")
	if err := f.Parse(args); err != nil {
		return err
	}
	if f.NArg() == 0 {
		return usageError("device takes the id of a device")
	}
	c, err := open()
	if err != nil {
		return err
	}
	path, what := "/api/devices/"+url.PathEscape(f.Arg(0)), f.Arg(1)
	switch what {
	case "":
		var d service.Detail
		if err := c.ask(http.MethodGet, path, nil, &d); err != nil {
			return err
		}
		return printJSON(out, d)
	case content.MethodIdentify, content.MethodRestart, content.MethodForgetSenders:
		err = c.ask(http.MethodPost, path+"/call/"+what, nil, nil)
	case "rename":
		if f.NArg() < 3 {
			return usageError("rename takes a name")
		}
		err = c.ask(http.MethodPost, path+"/settings", map[string]string{content.SettingName: strings.Join(f.Args()[2:], " ")}, nil)
	case "revoke":
		err = c.ask(http.MethodPost, path+"/revoke", nil, nil)
	default:
		return usageError("a device cannot %q", what)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, f.Arg(0)+":", what, "done")
	return err
}

// rollouts shows the rollout or orders something of it.
func rollouts(args []string, out io.Writer) error {
	f, open := clientFlags("rollout")
	p := rollout.DefaultPlan
	soak := f.Duration("soak", time.Duration(p.Soak)*time.Second, "how long each ring has to stay well")
	wait := f.Duration("patience", time.Duration(p.Patience)*time.Second, "how long a device may take to confirm")
	f.IntVar(&p.Failures, "failures", p.Failures, "how many devices may go back before it halts")
	f.Float64Var(&p.Share, "share", p.Share, "or as a share of those that were given the release")
	rings := f.String("rings", "0,0.05,0.25,1", "shares of the fleet, 0 is one device")
	if err := f.Parse(args); err != nil {
		return err
	}
	c, err := open()
	if err != nil {
		return err
	}
	switch kind := f.Arg(0); kind {
	case "":
		var o service.Overview
		if err := c.ask(http.MethodGet, "/api/overview", nil, &o); err != nil {
			return err
		}
		return showRollout(out, o)
	case string(rollout.Start):
		p.Soak, p.Patience, p.Rings = int64(soak.Seconds()), int64(wait.Seconds()), nil
		for _, r := range strings.Split(*rings, ",") {
			share, err := strconv.ParseFloat(strings.TrimSpace(r), 64)
			if err != nil {
				return usageError("--rings takes shares, as in 0,0.05,0.25,1")
			}
			p.Rings = append(p.Rings, share)
		}
		n, err := strconv.ParseInt(f.Arg(2), 10, 64)
		if err != nil {
			return usageError("start takes the address of a signed release and its number")
		}
		p.Release = content.Release{URL: f.Arg(1), Counter: n}
		if err := p.Check(); err != nil {
			return err
		}
		if err := c.ask(http.MethodPost, "/api/rollout/start", p, nil); err != nil {
			return err
		}
	default:
		if err := c.ask(http.MethodPost, "/api/rollout/"+url.PathEscape(kind), nil, nil); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintln(out, f.Arg(0), "heeded")
	return err
}

func showRollout(out io.Writer, o service.Overview) error {
	r := o.Rollout
	if r == nil {
		_, err := fmt.Fprintln(out, "There is no rollout.")
		return err
	}
	fmt.Fprintf(out, "Release %d from %s: %s %s\n", r.Release.Counter, r.Release.URL, r.State, r.Reason)
	for _, s := range r.Steps {
		fmt.Fprintf(out, "  ring %d of %d, %d devices, since %s\n", s.Ring+1, len(r.Rings), s.Devices, time.Unix(s.At, 0).Format(time.DateTime))
	}
	for _, p := range []rollout.Progress{rollout.Well, rollout.Trying, rollout.Waiting, rollout.Failed, rollout.Absent, rollout.Later} {
		if n := o.Tally[p]; n > 0 {
			fmt.Fprintf(out, "  %6d %s\n", n, p)
		}
	}
	return nil
}

// pair brings a device into the fleet.
func pair(args []string, out io.Writer) error {
	f, open := clientFlags("pair")
	if err := f.Parse(args); err != nil {
		return err
	}
	c, err := open()
	if err != nil {
		return err
	}
	switch f.Arg(0) {
	case "new":
		var code enrolment.Code
		if err := c.ask(http.MethodPost, "/api/enrolment/codes", map[string]string{"note": strings.Join(f.Args()[1:], " ")}, &code); err != nil {
			return err
		}
		_, err = fmt.Fprintf(out, "%s\n", code.Code)
	case "list":
		var e struct {
			Codes   []enrolment.Code
			Waiting []enrolment.Waiting
			Members int
		}
		if err := c.ask(http.MethodGet, "/api/enrolment", nil, &e); err != nil {
			return err
		}
		for _, w := range e.Waiting {
			fmt.Fprintf(out, "waits   %s  %s\n", w.Device, plain(w.Name))
		}
		for _, k := range e.Codes {
			fmt.Fprintf(out, "code    %s...  until %s  %s\n", k.Code[:4], k.Expires.Format(time.DateOnly), plain(k.Note))
		}
		_, err = fmt.Fprintf(out, "members %d\n", e.Members)
	case "admit":
		if f.NArg() != 3 {
			return usageError("admit takes the id of a device and the code on its screen")
		}
		if err := c.ask(http.MethodPost, "/api/enrolment/admit", map[string]string{"device": f.Arg(1), "code": f.Arg(2)}, nil); err != nil {
			return err
		}
		_, err = fmt.Fprintln(out, f.Arg(1), "is a member now")
	default:
		return usageError("pair takes new, list or admit")
	}
	return err
}

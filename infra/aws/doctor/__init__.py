"""What `tidestep doctor` finds out about a deployed stack and its account.

Reading is apart from judging. `read_...` asks AWS and gives values, or says what could not be read
(`asking.Unseen`); `judge_...` makes findings of values, and is pure. `examining.examine` does all.

What must stay true
- Nothing is changed: every request only reads.
- A request that fails costs the findings that rest on it, and no others.
- A finding of level "problem" or "warning" says how to mend it.
"""

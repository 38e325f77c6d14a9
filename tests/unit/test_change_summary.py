"""The callback change_summary, on runs that need no AWS."""

from __future__ import annotations

from commands import environment_for, run

LOOP = """\
- hosts: localhost
  gather_facts: false
  tasks:
    - name: Scaling of the services
      threetier.aws.application_autoscaling: {service_namespace: ecs, resource_id: "service/demo/{{ item }}", min_capacity: "{{ item }}"}
      loop: [many, more]
"""


def test_a_loop_that_fails_is_told_with_the_reasons_of_its_items(tmp_path):
    play = tmp_path / "play.yml"
    play.write_text(LOOP)
    finished = run(["ansible-playbook", str(play)], environment_for("http://127.0.0.1:9", tmp_path))
    summary = finished.output.partition("PLAY RECAP")[2]
    assert [item for item in ("many", "more") if f"\"'{item}'\" cannot be converted to an int" in summary] == ["many", "more"], finished

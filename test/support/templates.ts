/** Changes a template so that it never ends if the first message is "stop". */
export const endlessTemplate = (template: string): string =>
  `{% if messages[0].content == 'stop' %}{% for i in range(1000000000) %}{% endfor %}{% endif %}${template}`;
